//! Work inside another network namespace. A socket stays in the namespace where it was made, so
//! only its making happens there, on a thread that ends right afterwards.

use super::system::enter_namespace;
use std::fs::File;
use std::io;
use std::path::Path;
use std::thread;

/// Does `work` inside the namespace, or right here if there is none.
pub(crate) fn within<T: Send>(
    namespace: Option<&Path>,
    work: impl FnOnce() -> io::Result<T> + Send,
) -> io::Result<T> {
    let Some(path) = namespace else { return work() };
    let namespace = File::open(path)?;
    thread::scope(|scope| {
        let inside = scope.spawn(|| {
            enter_namespace(&namespace)?;
            work()
        });
        inside.join().unwrap_or_else(|_| Err(io::Error::other("the thread panicked")))
    })
}
