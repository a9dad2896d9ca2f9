//! The real file system: a folder that only its owner can enter.

use super::file_system::{FileSystem, SpoolFile};
use super::format::SegmentName;
use super::position;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Records hold what users send: only the owner may read them.
const FILE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;
/// Every file system has this one at its root.
const LOST_AND_FOUND: &str = "lost+found";

/// Why a folder cannot hold a spool.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// It is not there and cannot be made.
    #[error("cannot create the spool's folder {path}: {source}; create it for the user that runs gatetap, with mode 0700", path = path.display())]
    Create {
        /// The folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It cannot be read.
    #[error("cannot read the spool's folder {path}: {source}; it has to be a folder of the user that runs gatetap", path = path.display())]
    Read {
        /// The folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Others can enter it, and it holds what is not the spool's.
    #[error("the folder {path} is open to others (mode {mode:03o}) and holds {name}, which is no part of a spool: give the spool a folder of its own, or set mode 0700", path = path.display())]
    Shared {
        /// The folder.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
        /// One of the files in it.
        name: String,
    },
    /// Others can enter it, and that cannot be changed.
    #[error("the spool's folder {path} is open to others (mode {mode:03o}) and that cannot be changed: {source}; set mode 0700", path = path.display())]
    Open {
        /// The folder.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
        /// Why it cannot be changed.
        source: io::Error,
    },
    /// Another process has it.
    #[error("the spool {path} is in use by another gatetap: stop that one, or give each sink a folder of its own", path = path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
}

/// An open folder; clones are the same folder. As long as one of them lives no other process
/// can have it to write.
#[derive(Debug, Clone)]
pub struct Folder {
    path: Arc<Path>,
    /// For syncing, and for the lock on it. A lock on the folder itself needs no file, so that
    /// it works on a read-only file system too.
    handle: Arc<File>,
}

impl Folder {
    /// Opens the folder for this process alone, and makes it if it is not there.
    ///
    /// # Errors
    /// See [`FolderError`].
    pub fn open(path: &Path) -> Result<Self, FolderError> {
        let create = DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(path);
        if let Err(source) = create
            && !path.is_dir()
        {
            return Err(FolderError::Create { path: path.into(), source });
        }
        let folder = Self::open_shared(path)?;
        folder.lock()?;
        folder.keep_others_out()?;
        Ok(folder)
    }

    /// Opens the folder to look at it, also while a process has it to write.
    ///
    /// # Errors
    /// See [`FolderError`].
    pub fn open_shared(path: &Path) -> Result<Self, FolderError> {
        let cannot_read = |source| FolderError::Read { path: path.into(), source };
        let handle = File::open(path).map_err(cannot_read)?;
        if !handle.metadata().map_err(cannot_read)?.is_dir() {
            return Err(cannot_read(ErrorKind::NotADirectory.into()));
        }
        Ok(Self { path: path.into(), handle: Arc::new(handle) })
    }

    fn lock(&self) -> Result<(), FolderError> {
        let path = self.path.to_path_buf();
        match self.handle.try_lock() {
            Ok(()) => Ok(()),
            Err(TryLockError::WouldBlock) => Err(FolderError::InUse { path }),
            Err(TryLockError::Error(source)) => Err(FolderError::Read { path, source }),
        }
    }

    /// Folders are often made by others with the usual mode. One that holds nothing else is made
    /// private; any other is somebody's, and stays as it is.
    fn keep_others_out(&self) -> Result<(), FolderError> {
        let path = || self.path.to_path_buf();
        let cannot_read = |source| FolderError::Read { path: path(), source };
        let mode = self.handle.metadata().map_err(cannot_read)?.mode() & 0o777;
        if mode & 0o077 == 0 {
            return Ok(());
        }
        let files = self.list().map_err(cannot_read)?;
        if let Some((name, _)) = files.into_iter().find(|(name, _)| !is_ours(name)) {
            return Err(FolderError::Shared { path: path(), mode, name });
        }
        self.handle
            .set_permissions(Permissions::from_mode(FOLDER_MODE))
            .map_err(|source| FolderError::Open { path: path(), mode, source })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Whether a file of that name may be in a spool's folder. The dead-letter file is there unless
/// set otherwise, with what rotation puts behind its name.
fn is_ours(name: &str) -> bool {
    SegmentName::parse(name).is_some()
        || position::FILES.contains(&name)
        || name == LOST_AND_FOUND
        || name.starts_with("dead-letter.")
}

impl FileSystem for Folder {
    type File = FolderFile;

    fn list(&self) -> io::Result<Vec<(String, u64)>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            match entry.metadata() {
                Ok(metadata) => {
                    files.push((entry.file_name().to_string_lossy().into_owned(), metadata.len()));
                }
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(files)
    }

    fn create(&self, name: &str) -> io::Result<FolderFile> {
        let mut options = OpenOptions::new();
        options.read(true).append(true).create_new(true).mode(FILE_MODE);
        options.open(self.path.join(name)).map(FolderFile::new)
    }

    fn open(&self, name: &str) -> io::Result<FolderFile> {
        File::open(self.path.join(name)).map(FolderFile::new)
    }

    fn open_to_append(&self, name: &str) -> io::Result<FolderFile> {
        OpenOptions::new().read(true).append(true).open(self.path.join(name)).map(FolderFile::new)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    fn sync_folder(&self) -> io::Result<()> {
        self.handle.sync_all()
    }
}

/// A file of the folder.
#[derive(Debug, Clone)]
pub struct FolderFile(Arc<File>);

impl FolderFile {
    fn new(file: File) -> Self {
        Self(Arc::new(file))
    }
}

impl SpoolFile for FolderFile {
    fn append(&self, bytes: &[u8]) -> io::Result<usize> {
        (&*self.0).write(bytes)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(&*self.0, buffer, offset)
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn a_new_folder_and_its_files_are_private() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        let folder = Folder::open(&path).unwrap();
        folder.create("file").unwrap();
        assert_eq!(mode(&path), 0o700);
        assert_eq!(mode(&path.join("file")), 0o600);
    }

    #[test]
    fn a_folder_made_by_others_becomes_private_if_it_holds_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(folder.path().join(LOST_AND_FOUND)).unwrap();
        fs::write(folder.path().join("dead-letter.ndjson"), "").unwrap();
        Folder::open(folder.path()).unwrap();
        assert_eq!(mode(folder.path()), 0o700);
    }

    #[test]
    fn a_folder_with_other_things_in_it_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        fs::write(folder.path().join("syslog"), "").unwrap();
        let error = Folder::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("(mode 755) and holds syslog, which is no part"), "{error}");
        assert_eq!(mode(folder.path()), 0o755);
        fs::set_permissions(folder.path(), Permissions::from_mode(0o700)).unwrap();
        Folder::open(folder.path()).unwrap();
    }

    #[test]
    fn only_one_can_have_it_and_others_can_look() {
        let folder = tempfile::tempdir().unwrap();
        let first = Folder::open(folder.path()).unwrap();
        let error = Folder::open(folder.path()).unwrap_err();
        assert!(matches!(error, FolderError::InUse { .. }), "{error}");
        Folder::open_shared(folder.path()).unwrap().list().unwrap();
        drop(first);
        Folder::open(folder.path()).unwrap();
    }

    #[test]
    fn what_is_not_a_folder_is_refused_with_words() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        for path in [&file, &file.join("below")] {
            let error = Folder::open(path).unwrap_err().to_string();
            assert!(
                error.contains("of the user that runs gatetap") || error.contains("for the user"),
                "{error}"
            );
        }
    }
}
