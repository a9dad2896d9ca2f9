//! Just enough of the BPF type format (BTF) to ask where a member of a kernel structure lies.
//!
//! Format: Documentation/bpf/btf.rst of the kernel. The running kernel's own description is at
//! `/sys/kernel/btf/vmlinux` since Linux 5.4 (`CONFIG_DEBUG_INFO_BTF`).

use std::collections::HashMap;
use std::path::Path;

/// Where the kernel describes itself.
pub const KERNEL_BTF: &str = "/sys/kernel/btf/vmlinux";

const MAGIC: u16 = 0xEB9F;
const KIND_STRUCT: u32 = 4;
const KIND_UNION: u32 = 5;
const KIND_FUNCTION: u32 = 12;
/// Kinds that only wrap another type: typedef, volatile, const, restrict, type tag.
const WRAPPERS: [u32; 5] = [8, 9, 10, 11, 18];
/// Nesting of anonymous structures and wrappers that is followed at most.
const DEPTH_LIMIT: u32 = 16;

/// Why BTF could not answer.
#[derive(Debug, thiserror::Error)]
pub enum BtfError {
    /// The file is not there or not readable.
    #[error("cannot read {path}: {source} (the kernel needs CONFIG_DEBUG_INFO_BTF)")]
    Read {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The data is not BTF as documented.
    #[error("the kernel's BTF is malformed at byte {0}")]
    Malformed(usize),
    /// The kernel has no such structure or member.
    #[error("the kernel has no `{0}`")]
    Missing(String),
}

/// A parsed type: its kind and where its members stand.
#[derive(Clone, Copy)]
struct Type {
    kind: u32,
    member_count: u32,
    has_bit_fields: bool,
    size_or_type: u32,
    members: usize,
}

/// The types of a kernel.
pub struct Btf {
    data: Vec<u8>,
    strings: usize,
    types: Vec<Type>,
    structures: HashMap<String, u32>,
    functions: std::collections::HashSet<String>,
}

impl Btf {
    /// Reads the running kernel's types.
    pub fn kernel() -> Result<Self, BtfError> {
        Self::read(Path::new(KERNEL_BTF))
    }

    fn read(path: &Path) -> Result<Self, BtfError> {
        let data = std::fs::read(path)
            .map_err(|source| BtfError::Read { path: path.display().to_string(), source })?;
        Self::parse(data)
    }

    fn parse(data: Vec<u8>) -> Result<Self, BtfError> {
        if data.get(..2) != Some(&MAGIC.to_le_bytes()) {
            return Err(BtfError::Malformed(0));
        }
        let header = word(&data, 4)? as usize;
        let types_start = header + word(&data, 8)? as usize;
        let types_end = types_start + word(&data, 12)? as usize;
        let strings = header + word(&data, 16)? as usize;
        let void =
            Type { kind: 0, member_count: 0, has_bit_fields: false, size_or_type: 0, members: 0 };
        let mut btf = Self {
            data,
            strings,
            types: vec![void],
            structures: HashMap::new(),
            functions: std::collections::HashSet::new(),
        };
        let mut place = types_start;
        while place < types_end {
            place = btf.parse_type(place)?;
        }
        Ok(btf)
    }

    /// Parses the type at `place`; returns where the next begins.
    fn parse_type(&mut self, place: usize) -> Result<usize, BtfError> {
        let name = word(&self.data, place)?;
        let info = word(&self.data, place + 4)?;
        let size_or_type = word(&self.data, place + 8)?;
        let (kind, member_count) = (info >> 24 & 0x1F, info & 0xFFFF);
        let members = place + 12;
        let id = self.types.len() as u32;
        if kind == KIND_STRUCT {
            let name = self.string(name)?.to_owned();
            self.structures.entry(name).or_insert(id);
        } else if kind == KIND_FUNCTION {
            let name = self.string(name)?.to_owned();
            self.functions.insert(name);
        }
        let has_bit_fields = info >> 31 == 1;
        self.types.push(Type { kind, member_count, has_bit_fields, size_or_type, members });
        let extra = extra_length(kind, member_count as usize).ok_or(BtfError::Malformed(place))?;
        Ok(members + extra)
    }

    /// Offset in bytes of a member. `path` may lead through embedded structures, with dots;
    /// anonymous ones need not be named.
    pub fn offset(&self, structure: &str, path: &str) -> Result<u32, BtfError> {
        let missing = || BtfError::Missing(format!("{structure}.{path}"));
        let mut id = *self.structures.get(structure).ok_or_else(missing)?;
        let mut bits = 0;
        for name in path.split('.') {
            let (offset, member) = self.member(id, name, DEPTH_LIMIT)?.ok_or_else(missing)?;
            bits += offset;
            id = member;
        }
        Ok(bits / 8)
    }

    /// Size of a structure in bytes.
    pub fn size(&self, structure: &str) -> Result<u32, BtfError> {
        let id = self.structures.get(structure);
        id.and_then(|id| self.types.get(*id as usize))
            .map(|found| found.size_or_type)
            .ok_or_else(|| BtfError::Missing(structure.to_owned()))
    }

    /// Whether the kernel describes a function of that name.
    pub fn has_function(&self, name: &str) -> bool {
        self.functions.contains(name)
    }

    /// Bit offset and type of a member, also inside anonymous structures and unions.
    fn member(&self, id: u32, wanted: &str, depth: u32) -> Result<Option<(u32, u32)>, BtfError> {
        let Some(structure) = self.unwrap(id) else {
            return Ok(None);
        };
        if depth == 0 || !matches!(structure.kind, KIND_STRUCT | KIND_UNION) {
            return Ok(None);
        }
        for index in 0..structure.member_count as usize {
            let place = structure.members + index * 12;
            let name = word(&self.data, place)?;
            let member_type = word(&self.data, place + 4)?;
            let offset = word(&self.data, place + 8)?;
            let bits = if structure.has_bit_fields { offset & 0x00FF_FFFF } else { offset };
            if name == 0 {
                if let Some((inner, found)) = self.member(member_type, wanted, depth - 1)? {
                    return Ok(Some((bits + inner, found)));
                }
            } else if self.string(name)? == wanted {
                return Ok(Some((bits, member_type)));
            }
        }
        Ok(None)
    }

    /// The type behind typedefs and qualifiers.
    fn unwrap(&self, mut id: u32) -> Option<Type> {
        for _ in 0..DEPTH_LIMIT {
            let found = *self.types.get(id as usize)?;
            if !WRAPPERS.contains(&found.kind) {
                return Some(found);
            }
            id = found.size_or_type;
        }
        None
    }

    fn string(&self, offset: u32) -> Result<&str, BtfError> {
        let start = self.strings + offset as usize;
        let tail = self.data.get(start..).ok_or(BtfError::Malformed(start))?;
        let length = tail.iter().position(|&b| b == 0).ok_or(BtfError::Malformed(start))?;
        std::str::from_utf8(&tail[..length]).map_err(|_| BtfError::Malformed(start))
    }
}

/// Bytes that follow a type's common part.
fn extra_length(kind: u32, member_count: usize) -> Option<usize> {
    Some(match kind {
        1 | 14 | 17 => 4,
        3 => 12,
        KIND_STRUCT | KIND_UNION | 15 | 19 => member_count * 12,
        6 | 13 => member_count * 8,
        2 | 7..=12 | 16 | 18 => 0,
        _ => return None,
    })
}

fn word(data: &[u8], place: usize) -> Result<u32, BtfError> {
    let bytes = data.get(place..place + 4).and_then(|bytes| bytes.try_into().ok());
    bytes.map(u32::from_le_bytes).ok_or(BtfError::Malformed(place))
}

#[cfg(test)]
mod tests {
    use super::*;
    use xtask::requirement;

    #[test]
    fn garbage_is_an_error() {
        assert!(matches!(Btf::parse(b"not BTF at all".to_vec()), Err(BtfError::Malformed(0))));
        let mut header = vec![0x9F, 0xEB, 1, 0, 24, 0, 0, 0];
        header.extend_from_slice(&[0xFF; 16]);
        assert!(Btf::parse(header).is_err());
    }

    /// The first members of `sock_common` are fixed by the socket API since Linux 2.6.
    #[test]
    fn finds_members_of_the_running_kernel() {
        let unreadable = |error: BtfError| format!("{KERNEL_BTF} cannot be used: {error}");
        let Some(btf) = requirement::met(Btf::kernel().map_err(unreadable)) else { return };
        assert_eq!(btf.offset("sock", "__sk_common.skc_daddr").unwrap(), 0);
        assert_eq!(btf.offset("sock", "__sk_common.skc_rcv_saddr").unwrap(), 4);
        assert!(matches!(btf.offset("sock", "no_such"), Err(BtfError::Missing(_))));
    }
}
