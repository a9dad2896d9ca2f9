//! The gateway's processes, listed anew by a thread of its own: reading all of `/proc` takes longer
//! than many a connection lives.

use crate::capture::selection::{Found, Selection, scan};
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Age at which the list is made anew in any case.
const AGE_LIMIT: Duration = Duration::from_millis(900);
/// Least pause between two lists.
const PAUSE: Duration = Duration::from_millis(50);
/// The same, in times that the last list took: so listing takes a tenth of a processor at most.
const PAUSE_FACTOR: u32 = 9;

type List = Arc<[Found]>;

/// The list as it is now.
pub(super) struct Processes {
    list: Arc<Mutex<List>>,
    wanted: SyncSender<()>,
}

impl Processes {
    /// Lists the processes of the selection, and goes on to do so.
    pub(super) fn start(selection: Selection) -> io::Result<Self> {
        let list = Arc::new(Mutex::new(List::from(scan(&selection))));
        let (wanted, requests) = sync_channel(1);
        let kept = Arc::clone(&list);
        let work = move || keep(&kept, &selection, &requests);
        thread::Builder::new().name("gatetap-scan".to_owned()).spawn(work)?;
        Ok(Self { list, wanted })
    }

    pub(super) fn list(&self) -> List {
        Arc::clone(&lock(&self.list))
    }

    /// Somebody is missing from the list.
    pub(super) fn want_anew(&self) {
        // A list that is wanted already is as good.
        let _ = self.wanted.try_send(());
    }
}

/// Until nobody wants it any more.
fn keep(list: &Mutex<List>, selection: &Selection, requests: &Receiver<()>) {
    while requests.recv_timeout(AGE_LIMIT) != Err(RecvTimeoutError::Disconnected) {
        let begun = Instant::now();
        let found = List::from(scan(selection));
        *lock(list) = found;
        thread::sleep(PAUSE.max(begun.elapsed().saturating_mul(PAUSE_FACTOR)));
    }
}

fn lock(list: &Mutex<List>) -> MutexGuard<'_, List> {
    list.lock().unwrap_or_else(PoisonError::into_inner)
}
