//! What a spool needs of a file system: so little that one which fails on purpose can take its
//! place in tests.

use std::io;

/// The one folder in which a spool lives; files have names without a path.
pub trait FileSystem: Clone + Send + 'static {
    /// An open file of the folder.
    type File: SpoolFile;

    /// All files with their lengths in bytes, in any order.
    ///
    /// # Errors
    /// The folder cannot be read.
    fn list(&self) -> io::Result<Vec<(String, u64)>>;

    /// Makes a new file that is to be appended to.
    ///
    /// # Errors
    /// There is one of that name, or none can be made.
    fn create(&self, name: &str) -> io::Result<Self::File>;

    /// Opens a file to read it.
    ///
    /// # Errors
    /// It is not there or cannot be read.
    fn open(&self, name: &str) -> io::Result<Self::File>;

    /// Opens a file to append to it.
    ///
    /// # Errors
    /// It is not there or cannot be written.
    fn open_to_append(&self, name: &str) -> io::Result<Self::File>;

    /// Gives a file another name, in the place of whatever had that name.
    ///
    /// # Errors
    /// It has the name that it had.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// It is still there, or was not there.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Waits until all names are on the disk.
    ///
    /// # Errors
    /// They may not be.
    fn sync_folder(&self) -> io::Result<()>;
}

/// An open file; clones are the same file.
pub trait SpoolFile: Clone + Send + 'static {
    /// Appends the beginning of `bytes` and says how much of it.
    ///
    /// # Errors
    /// Nothing was appended.
    fn append(&self, bytes: &[u8]) -> io::Result<usize>;

    /// Reads from `offset` and says how many bytes; 0 at the end of the file.
    ///
    /// # Errors
    /// Nothing can be read there.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Cuts the file to `length` bytes.
    ///
    /// # Errors
    /// It is as long as it was.
    fn truncate(&self, length: u64) -> io::Result<()>;

    /// Waits until the file's contents are on the disk.
    ///
    /// # Errors
    /// They may not be.
    fn sync(&self) -> io::Result<()>;
}

/// Appends as much of `bytes` as can be; says how much, and why not all.
pub(super) fn append_all(file: &impl SpoolFile, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut done = 0;
    while let Some(rest) = bytes.get(done..).filter(|rest| !rest.is_empty()) {
        match file.append(rest) {
            Ok(0) => return (done, Err(io::ErrorKind::WriteZero.into())),
            Ok(count) => done += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (done, Err(error)),
        }
    }
    (done, Ok(()))
}

/// Reads up to `length` bytes from `offset`; fewer only at the end of the file.
pub(super) fn read_up_to(file: &impl SpoolFile, offset: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    let mut done = 0;
    while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset.saturating_add(done as u64)) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(done);
    Ok(bytes)
}
