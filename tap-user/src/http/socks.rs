//! The negotiation of a SOCKS proxy (version 5: RFC 1928, with user and password: RFC 1929;
//! versions 4 and 4a) in front of what the client says to the server behind it. It is passed
//! over in both directions; its bytes count for no message.
//!
//! Only `CONNECT` without authentication or with a password leads to a plain stream. Each side's
//! part can be read without the other's, except for the version.

use super::input::Input;
use crate::segment::{Content, Direction};

const VERSION_4: u8 = 4;
const VERSION_5: u8 = 5;
const COMMAND_CONNECT: u8 = 1;
const NO_AUTHENTICATION: u8 = 0;
const PASSWORD: u8 = 2;
/// Version of the negotiation of user and password (RFC 1929, section 2).
const PASSWORD_VERSION: u8 = 1;
const SUCCEEDED: u8 = 0;
const GRANTED_4: u8 = 0x5a;
/// Bytes of a port number.
const PORT: usize = 2;
/// The longest part of a client in version 5: methods, user and password, a name and its port.
/// Version 4 sets no bound to its texts; this one will do.
const BYTES_MAXIMUM: usize = (2 + 255) + (3 + 255 + 255) + (4 + 1 + 255 + PORT);

/// A negotiation as far as it came.
#[derive(Debug, Default)]
pub(super) struct Socks {
    /// That of the client; `None`: nothing came yet.
    version: Option<u8>,
    from_client: Half,
    from_server: Half,
}

/// What one side says in a negotiation.
#[derive(Debug, Default)]
struct Half {
    bytes: Vec<u8>,
    passed: bool,
}

/// What the next bytes of a connection turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SocksStep {
    /// No negotiation begins here; nothing is taken.
    Absent,
    /// What belongs to a negotiation is taken; it is over in this direction if anything is left.
    Taken,
    /// The negotiation failed, or was none.
    Failed,
}

impl Socks {
    /// Takes what belongs to the negotiation from `input`.
    pub(super) fn read(&mut self, direction: Direction, input: &mut Input<'_>) -> SocksStep {
        let begins = direction == Direction::ToServer;
        let Some(version) = self.version.or(input.bytes().first().copied().filter(|_| begins))
        else {
            return SocksStep::Absent;
        };
        if !matches!(version, VERSION_4 | VERSION_5) {
            return SocksStep::Absent;
        }
        self.version = Some(version);
        match direction {
            Direction::ToServer => self.from_client.read(input, client),
            Direction::ToClient => self.from_server.read(input, |bytes| server(version, bytes)),
        }
    }

    /// Bytes held.
    pub(super) fn held(&self) -> usize {
        self.from_client.bytes.len().saturating_add(self.from_server.bytes.len())
    }
}

impl Half {
    fn read(
        &mut self,
        input: &mut Input<'_>,
        length: impl Fn(&[u8]) -> Result<usize, Stop>,
    ) -> SocksStep {
        if self.passed {
            return SocksStep::Taken;
        }
        let Content::Bytes(bytes) = input.content else { return SocksStep::Failed };
        let before = self.bytes.len();
        let room = BYTES_MAXIMUM.saturating_sub(before);
        self.bytes.extend(bytes.iter().take(room));
        match length(&self.bytes) {
            Ok(length) => {
                input.skip(length.saturating_sub(before) as u64);
                *self = Self { bytes: Vec::new(), passed: true };
                SocksStep::Taken
            }
            Err(Stop::Incomplete) if bytes.len() < room => {
                input.skip(bytes.len() as u64);
                SocksStep::Taken
            }
            Err(_) => SocksStep::Failed,
        }
    }
}

/// Why the end of a part was not found.
#[derive(Debug, PartialEq, Eq)]
enum Stop {
    Incomplete,
    Invalid,
}

/// Length of the client's part.
fn client(bytes: &[u8]) -> Result<usize, Stop> {
    let mut reader = Reader { bytes, at: 0 };
    match reader.byte()? {
        VERSION_4 => client_4(&mut reader)?,
        _ => client_5(&mut reader)?,
    }
    Ok(reader.at)
}

/// Command, port, address, user; with an address 0.0.0.x (4a), the name of the server.
fn client_4(reader: &mut Reader<'_>) -> Result<(), Stop> {
    reader.expect(COMMAND_CONNECT)?;
    reader.pass(PORT)?;
    let address = [reader.byte()?, reader.byte()?, reader.byte()?, reader.byte()?];
    reader.pass_text()?;
    match address {
        [0, 0, 0, last] if last != 0 => reader.pass_text(),
        _ => Ok(()),
    }
}

/// Methods; user and password, if these are asked for; command and address.
fn client_5(reader: &mut Reader<'_>) -> Result<(), Stop> {
    reader.pass_counted()?;
    let mut version = reader.byte()?;
    if version == PASSWORD_VERSION {
        reader.pass_counted()?;
        reader.pass_counted()?;
        version = reader.byte()?;
    }
    if version != VERSION_5 {
        return Err(Stop::Invalid);
    }
    reader.expect(COMMAND_CONNECT)?;
    reader.pass(1)?;
    reader.pass_address()
}

/// Length of the server's part.
fn server(version: u8, bytes: &[u8]) -> Result<usize, Stop> {
    let mut reader = Reader { bytes, at: 0 };
    match version {
        VERSION_4 => server_4(&mut reader)?,
        _ => server_5(&mut reader)?,
    }
    Ok(reader.at)
}

/// Zero, verdict, port, address.
fn server_4(reader: &mut Reader<'_>) -> Result<(), Stop> {
    reader.expect(0)?;
    reader.expect(GRANTED_4)?;
    reader.pass(PORT + 4)
}

/// Method; verdict on the password, if there is one; verdict on the command, and address.
fn server_5(reader: &mut Reader<'_>) -> Result<(), Stop> {
    reader.expect(VERSION_5)?;
    match reader.byte()? {
        NO_AUTHENTICATION => {}
        PASSWORD => {
            reader.expect(PASSWORD_VERSION)?;
            reader.expect(SUCCEEDED)?;
        }
        _ => return Err(Stop::Invalid),
    }
    reader.expect(VERSION_5)?;
    reader.expect(SUCCEEDED)?;
    reader.pass(1)?;
    reader.pass_address()
}

/// Bytes and a place among them.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn byte(&mut self) -> Result<u8, Stop> {
        let byte = self.bytes.get(self.at).copied().ok_or(Stop::Incomplete)?;
        self.at = self.at.saturating_add(1);
        Ok(byte)
    }

    fn expect(&mut self, wanted: u8) -> Result<(), Stop> {
        if self.byte()? == wanted { Ok(()) } else { Err(Stop::Invalid) }
    }

    fn pass(&mut self, length: usize) -> Result<(), Stop> {
        self.at = self.at.saturating_add(length);
        if self.at <= self.bytes.len() { Ok(()) } else { Err(Stop::Incomplete) }
    }

    /// A byte that says how many follow, and these.
    fn pass_counted(&mut self) -> Result<(), Stop> {
        let length = self.byte()?;
        self.pass(length.into())
    }

    /// A text and the zero behind it.
    fn pass_text(&mut self) -> Result<(), Stop> {
        while self.byte()? != 0 {}
        Ok(())
    }

    /// Type, address, port (RFC 1928, section 5).
    fn pass_address(&mut self) -> Result<(), Stop> {
        match self.byte()? {
            1 => self.pass(4)?,
            3 => self.pass_counted()?,
            4 => self.pass(16)?,
            _ => return Err(Stop::Invalid),
        }
        self.pass(PORT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_clients_part() {
        for part in [
            &b"\x05\x01\0\x05\x01\0\x01\xc0\0\x02\x01\0\x50"[..],
            b"\x05\x02\0\x02\x05\x01\0\x03\x0bexample.org\0\x50",
            b"\x05\x01\x02\x01\x04user\x06secret\x05\x01\0\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\0\x50",
            b"\x04\x01\0\x50\xc0\0\x02\x01user\0",
            b"\x04\x01\0\x50\0\0\0\x01\0example.org\0",
        ] {
            for length in 0..part.len() {
                assert_eq!(client(&part[..length]), Err(Stop::Incomplete), "{length}");
            }
            assert_eq!(client(&[part, b"GET / HTTP/1.1\r\n"].concat()), Ok(part.len()));
        }
    }

    #[test]
    fn the_end_of_a_servers_part() {
        for (version, part) in [
            (5, &b"\x05\0\x05\0\0\x01\xc0\0\x02\x01\0\x50"[..]),
            (5, b"\x05\x02\x01\0\x05\0\0\x03\x03abc\0\x50"),
            (4, b"\0\x5a\0\x50\xc0\0\x02\x01"),
        ] {
            for length in 0..part.len() {
                assert_eq!(server(version, &part[..length]), Err(Stop::Incomplete), "{length}");
            }
            assert_eq!(server(version, &[part, b"HTTP/1.1"].concat()), Ok(part.len()));
        }
    }

    #[test]
    fn what_leads_to_no_stream() {
        for (part, why) in [
            (&b"\x05\x01\0\x05\x02"[..], "bind"),
            (b"\x05\x01\0\x05\x03", "datagrams"),
            (b"\x05\x01\x01\x02", "GSSAPI"),
            (b"\x05\x01\0\x05\x01\0\x02", "type of address"),
            (b"\x04\x02", "bind"),
        ] {
            assert_eq!(client(part), Err(Stop::Invalid), "{why}");
        }
        for (version, part, why) in [
            (5, &b"\x05\xff"[..], "no method"),
            (5, b"\x05\x01", "GSSAPI"),
            (5, b"\x05\x02\x01\x01", "password"),
            (5, b"\x05\0\x05\x05", "refused"),
            (5, b"\0\x5a", "version"),
            (4, b"\0\x5b", "rejected"),
        ] {
            assert_eq!(server(version, part), Err(Stop::Invalid), "{why}");
        }
    }
}
