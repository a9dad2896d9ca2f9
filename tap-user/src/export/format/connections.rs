//! What records say of a connection that stays the same: written once, as most connections carry
//! many exchanges.

use super::facts;
use crate::export::json::{Object, Page, members};
use crate::segment::Connection;
use std::sync::Arc;

/// Connections whose texts are kept at most; those that are opened one after the other do not
/// displace each other.
const KEPT: usize = 256;

/// Texts of the connections that records came of last.
#[derive(Debug, Default)]
pub(in crate::export) struct Connections {
    kept: Vec<Option<Kept>>,
    page: Page,
}

#[derive(Debug)]
struct Kept {
    /// Held, so that no other connection comes to stand at its address.
    connection: Arc<Connection>,
    text: ConnectionText,
}

/// Members of the object `connection`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::export) struct ConnectionText {
    /// Its ends, and whose it is.
    pub(super) owner: Vec<u8>,
    /// When it was opened.
    pub(super) opening: Vec<u8>,
}

impl Connections {
    /// What records say of that connection.
    pub(in crate::export) fn text(&mut self, connection: &Arc<Connection>) -> &ConnectionText {
        if self.kept.is_empty() {
            self.kept.resize_with(KEPT, || None);
        }
        let place = connection.serial as usize % KEPT;
        let slot = &mut self.kept[place];
        match slot {
            Some(kept) if Arc::ptr_eq(&kept.connection, connection) => {}
            _ => {
                let mut text = slot.take().map(|kept| kept.text).unwrap_or_default();
                text.write(connection, &mut self.page);
                *slot = Some(Kept { connection: Arc::clone(connection), text });
            }
        }
        slot.as_ref().map_or(const { &ConnectionText::EMPTY }, |kept| &kept.text)
    }
}

impl ConnectionText {
    const EMPTY: Self = Self { owner: Vec::new(), opening: Vec::new() };

    pub(super) fn of(connection: &Connection) -> Self {
        let mut text = Self::default();
        text.write(connection, &mut Page::default());
        text
    }

    /// In the memory that the text of another connection took.
    fn write(&mut self, connection: &Connection, page: &mut Page) {
        let Self { owner, opening } = self;
        fill(owner, page, |object| facts::write_owner(object, connection));
        fill(opening, page, |object| facts::write_opening(object, connection));
    }
}

fn fill(text: &mut Vec<u8>, page: &mut Page, write: impl FnOnce(&mut Object<'_>)) {
    page.clear();
    members(page, write);
    text.clear();
    text.extend_from_slice(page.written());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::{Leg, Listener};

    fn connection(serial: u64, port: u16) -> Arc<Connection> {
        Arc::new(Connection {
            serial,
            leg: Leg::Client,
            client: ([10, 0, 0, 1], port).into(),
            server: ([10, 0, 0, 2], 8000).into(),
            process: None,
            listener: Listener::Port(8000),
            network_namespace: None,
            control_group: None,
            opened: None,
        })
    }

    #[test]
    fn each_connection_has_its_own_text_whoever_came_before() {
        let mut connections = Connections::default();
        // The same serial number again, as where a connection passes to another process.
        let all = [(1, 1), (2, 2), (1 + KEPT as u64, 3), (1, 4), (u64::MAX, 5)];
        let all = all.map(|(serial, port)| connection(serial, port));
        for connection in all.iter().chain(&all).chain([&all[0], &all[0]]) {
            let expected = ConnectionText::of(connection);
            assert_eq!(connections.text(connection), &expected);
            assert!(!expected.owner.is_empty() && !expected.opening.is_empty());
        }
    }
}
