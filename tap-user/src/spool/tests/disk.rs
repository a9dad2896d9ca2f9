//! A file system in memory that fails on purpose, and knows what a power cut leaves of it.
//!
//! Names and contents that were synced survive a power cut. Of names that were not, each change
//! survives or does not, for itself and in any combination. Of contents that were not, any
//! beginning survives, and blocks of it may be zeros (space that the file system had set aside).

use crate::spool::{FileSystem, SpoolFile};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard};

/// Blocks that get to the disk for themselves. Real ones are larger; small ones tear more.
const BLOCK: usize = 64;

/// The file system; clones are the same one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    names: BTreeMap<String, Node>,
    durable_names: BTreeMap<String, Node>,
    fault: Fault,
    random: Random,
}

type Node = Arc<Mutex<Contents>>;

#[derive(Debug, Default)]
struct Contents {
    current: Vec<u8>,
    durable: Vec<u8>,
}

/// What fails from now on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Fault {
    #[default]
    None,
    /// So many bytes more can be written (ENOSPC).
    Full(usize),
    /// Nothing can be changed (EROFS).
    ReadOnly,
    /// Any change fails, one in three, some of it done before (EIO); files cannot be cut either.
    Broken,
    /// A write takes only some of the bytes.
    Short,
    /// Nothing can be read (EIO).
    Unreadable,
}

/// A random number generator (xorshift).
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Default for Random {
    fn default() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }
}

impl Random {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }
}

impl Disk {
    pub(crate) fn new(seed: u64) -> Self {
        let disk = Self::default();
        disk.state().random = Random(seed | 1);
        disk
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub(crate) fn fail(&self, fault: Fault) {
        self.state().fault = fault;
    }

    /// What is left after the power went.
    pub(crate) fn power_cut(&self) {
        let mut state = self.state();
        let all: BTreeSet<_> =
            state.names.keys().chain(state.durable_names.keys()).cloned().collect();
        let mut left = BTreeMap::new();
        for name in all {
            let survives = state.random.below(2) == 0;
            let names = if survives { &state.names } else { &state.durable_names };
            if let Some(node) = names.get(&name).cloned() {
                left.insert(name, node);
            }
        }
        for node in left.values() {
            node.lock().unwrap().tear(&mut state.random);
        }
        state.durable_names = left.clone();
        state.names = left;
    }

    /// Flips one bit of a file, also on the disk.
    pub(crate) fn flip(&self, name: &str, bit: usize) {
        let node = self.state().names[name].clone();
        let mut contents = node.lock().unwrap();
        let bit = bit % (contents.current.len() * 8);
        contents.current[bit / 8] ^= 1 << (bit % 8);
        contents.durable = contents.current.clone();
    }

    /// Replaces a file, also on the disk.
    pub(crate) fn put(&self, name: &str, bytes: &[u8]) {
        let contents = Contents { current: bytes.to_vec(), durable: bytes.to_vec() };
        let node = Arc::new(Mutex::new(contents));
        let mut state = self.state();
        state.names.insert(name.to_owned(), Arc::clone(&node));
        state.durable_names.insert(name.to_owned(), node);
    }

    pub(crate) fn get(&self, name: &str) -> Vec<u8> {
        self.state().names[name].lock().unwrap().current.clone()
    }

    pub(crate) fn delete(&self, name: &str) {
        let mut state = self.state();
        state.names.remove(name);
        state.durable_names.remove(name);
    }

    /// Names of all segments in order.
    pub(crate) fn segments(&self) -> Vec<String> {
        let state = self.state();
        state.names.keys().filter(|name| name.ends_with(".spool")).cloned().collect()
    }

    pub(crate) fn bytes(&self) -> u64 {
        let lengths = self.segments().into_iter().map(|name| self.get(&name).len() as u64);
        lengths.sum()
    }

    fn change(&self) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.state();
        let fault = state.fault;
        match fault {
            Fault::ReadOnly => Err(ErrorKind::ReadOnlyFilesystem.into()),
            Fault::Broken if state.random.below(3) == 0 => Err(io::Error::other("EIO")),
            _ => Ok(state),
        }
    }

    fn handle(&self, node: &Node) -> DiskFile {
        DiskFile { disk: self.clone(), node: Arc::clone(node) }
    }
}

impl Contents {
    fn tear(&mut self, random: &mut Random) {
        if !self.current.starts_with(&self.durable) {
            // It was cut and not synced: the old contents may come back.
            if random.below(2) == 0 {
                self.current = self.durable.clone();
            }
            self.durable = self.current.clone();
            return;
        }
        let synced = self.durable.len();
        let unsynced = self.current.len() - synced;
        self.current.truncate(synced + random.below(unsynced + 1));
        let zeroed = random.below(4) == 0;
        for block in self.current[synced..].chunks_mut(BLOCK).filter(|_| zeroed) {
            if random.below(2) == 0 {
                block.fill(0);
            }
        }
        self.durable = self.current.clone();
    }
}

impl FileSystem for Disk {
    type File = DiskFile;

    fn list(&self) -> io::Result<Vec<(String, u64)>> {
        let state = self.state();
        let length = |node: &Node| node.lock().unwrap().current.len() as u64;
        Ok(state.names.iter().map(|(name, node)| (name.clone(), length(node))).collect())
    }

    fn create(&self, name: &str) -> io::Result<DiskFile> {
        let mut state = self.change()?;
        if state.names.contains_key(name) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        let node = Node::default();
        state.names.insert(name.to_owned(), Arc::clone(&node));
        drop(state);
        Ok(self.handle(&node))
    }

    fn open(&self, name: &str) -> io::Result<DiskFile> {
        let node = self.state().names.get(name).cloned();
        Ok(self.handle(&node.ok_or(ErrorKind::NotFound)?))
    }

    fn open_to_append(&self, name: &str) -> io::Result<DiskFile> {
        drop(self.change()?);
        self.open(name)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.change()?;
        let node = state.names.remove(from).ok_or(ErrorKind::NotFound)?;
        state.names.insert(to.to_owned(), node);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.change()?.names.remove(name).map(|_| ()).ok_or(ErrorKind::NotFound.into())
    }

    fn sync_folder(&self) -> io::Result<()> {
        let mut state = self.change()?;
        state.durable_names = state.names.clone();
        Ok(())
    }
}

/// A file of it.
#[derive(Debug, Clone)]
pub(crate) struct DiskFile {
    disk: Disk,
    node: Node,
}

impl SpoolFile for DiskFile {
    fn append(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.disk.state();
        let fault = state.fault;
        let taken = match fault {
            Fault::None | Fault::Unreadable => bytes.len(),
            Fault::ReadOnly => return Err(ErrorKind::ReadOnlyFilesystem.into()),
            Fault::Full(0) => return Err(ErrorKind::StorageFull.into()),
            Fault::Full(left) => bytes.len().min(left),
            Fault::Broken if state.random.below(2) == 0 => return Err(io::Error::other("EIO")),
            Fault::Broken | Fault::Short => 1 + state.random.below(bytes.len()),
        };
        if let Fault::Full(left) = fault {
            state.fault = Fault::Full(left - taken);
        }
        self.node.lock().unwrap().current.extend(&bytes[..taken]);
        Ok(taken)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut state = self.disk.state();
        if state.fault == Fault::Unreadable {
            return Err(io::Error::other("EIO"));
        }
        let contents = self.node.lock().unwrap();
        let rest = contents.current.get(offset as usize..).unwrap_or_default();
        let most = buffer.len().min(rest.len());
        let count = if most == 0 { 0 } else { 1 + state.random.below(most) };
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        let state = self.disk.change()?;
        if state.fault == Fault::Broken {
            return Err(io::Error::other("EIO"));
        }
        self.node.lock().unwrap().current.truncate(length as usize);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        drop(self.disk.change()?);
        let mut contents = self.node.lock().unwrap();
        contents.durable = contents.current.clone();
        Ok(())
    }
}
