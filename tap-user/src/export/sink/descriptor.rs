//! Writing to an open file without holding up the runtime: the call is made on a thread that may
//! block.

use bytes::Bytes;
use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::sync::Arc;

/// Writes once and says how many bytes the kernel took.
pub(super) async fn write(file: &Arc<File>, pieces: Vec<Bytes>) -> io::Result<usize> {
    let file = Arc::clone(file);
    tokio::task::spawn_blocking(move || write_once(&file, &pieces))
        .await
        .map_err(io::Error::other)?
}

fn write_once(mut file: &File, pieces: &[Bytes]) -> io::Result<usize> {
    let slices: Vec<_> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
    loop {
        match file.write_vectored(&slices) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
