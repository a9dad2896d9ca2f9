//! libpcap's compiler, from the shared library of the system, loaded when it is needed: so the
//! program runs where there is none, as long as nobody filters.

use super::program::{Instruction, Program};
use libloading::{Library, Symbol};
use std::ffi::{CStr, CString, c_char, c_int, c_uint};
use std::{io, ptr};

/// Names of the library: Debian's, everybody's, and of development packages.
const NAMES: [&str; 3] = ["libpcap.so.0.8", "libpcap.so.1", "libpcap.so"];
/// Length at which compiled programs cut packets: larger than any, as tcpdump has it.
const SNAP_LENGTH: c_int = 262_144;
/// `PCAP_NETMASK_UNKNOWN`: only broadcast addresses of IPv4 would need it.
const UNKNOWN_NETMASK: c_uint = 0xffff_ffff;

/// Why an expression cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// There is no libpcap.
    #[error(
        "a filter expression needs libpcap, which is not on this machine ({0}); install it \
         (Debian and Ubuntu: libpcap0.8, Fedora and Alpine: libpcap) or use --port and --host"
    )]
    NoLibrary(String),
    /// The expression has no meaning for this link type.
    #[error("filter `{expression}`: {reason} (link type {link_type})")]
    Expression {
        /// The expression.
        expression: String,
        /// What libpcap says of it.
        reason: String,
        /// Number of the link type.
        link_type: u16,
    },
}

/// `PCAP_ERRBUF_SIZE`.
const ERROR_BYTES: usize = 256;

type Handle = *mut std::ffi::c_void;

/// `struct bpf_program`.
#[repr(C)]
struct Compiled {
    length: c_uint,
    instructions: *mut Instruction,
}

/// Where the packets come from that a program is for. Some expressions mean something else there:
/// files of other systems have other numbers for IPv6 on their loopback interface, and what the
/// kernel knows beside a packet's bytes (`inbound`) is in no file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    Interface,
    File,
}

/// The loaded library.
pub(super) struct Libpcap(Library);

impl Libpcap {
    pub(super) fn load() -> Result<Self, FilterError> {
        let mut reason = String::new();
        for name in NAMES {
            // SAFETY: the library of the system, whose initialisers do nothing.
            match unsafe { Library::new(name) } {
                Ok(library) => return Ok(Self(library)),
                Err(error) => reason = error.to_string(),
            }
        }
        Err(FilterError::NoLibrary(reason))
    }

    /// Compiles an expression for packets of a link type.
    pub(super) fn compile(
        &self,
        expression: &str,
        link: u16,
        origin: Origin,
    ) -> Result<Program, FilterError> {
        let failed = |reason: String| FilterError::Expression {
            expression: expression.to_owned(),
            reason,
            link_type: link,
        };
        let text = CString::new(expression).map_err(|error| failed(error.to_string()))?;
        // SAFETY: signatures are those of pcap(3PCAP); the handle is closed below.
        unsafe { self.compile_with(&text, link, origin) }.map_err(failed)
    }

    /// # Safety
    /// The library must be libpcap.
    unsafe fn compile_with(
        &self,
        expression: &CStr,
        link: u16,
        origin: Origin,
    ) -> Result<Program, String> {
        type Close = unsafe extern "C" fn(Handle);
        // SAFETY: this is the function's type.
        let close: Symbol<'_, Close> =
            unsafe { self.0.get(b"pcap_close\0") }.map_err(|error| error.to_string())?;
        let mut file = empty_file(link);
        // SAFETY: the library is libpcap, and the file's bytes live longer than the handle.
        let handle = unsafe {
            match origin {
                Origin::Interface => self.open_dead(link)?,
                Origin::File => self.open_file(&mut file)?,
            }
        };
        // SAFETY: the handle is open.
        let program = unsafe { self.compile_on(handle, expression) };
        // SAFETY: the handle is open, and nothing of it is used after this.
        unsafe { close(handle) };
        program
    }

    /// # Safety
    /// The library must be libpcap.
    unsafe fn open_dead(&self, link: u16) -> Result<Handle, String> {
        type OpenDead = unsafe extern "C" fn(c_int, c_int) -> Handle;
        // SAFETY: this is the function's type.
        let open: Symbol<'_, OpenDead> =
            unsafe { self.0.get(b"pcap_open_dead\0") }.map_err(|error| error.to_string())?;
        // SAFETY: needs nothing.
        let handle = unsafe { open(data_link(link), SNAP_LENGTH) };
        if handle.is_null() { Err("libpcap has no memory".to_owned()) } else { Ok(handle) }
    }

    /// # Safety
    /// The library must be libpcap; the bytes must live as long as the handle.
    unsafe fn open_file(&self, bytes: &mut [u8]) -> Result<Handle, String> {
        type Open = unsafe extern "C" fn(*mut libc::FILE, *mut c_char) -> Handle;
        // SAFETY: this is the function's type.
        let open: Symbol<'_, Open> =
            unsafe { self.0.get(b"pcap_fopen_offline\0") }.map_err(|error| error.to_string())?;
        // SAFETY: the bytes are as many as said; the mode is a string.
        let file = unsafe { libc::fmemopen(bytes.as_mut_ptr().cast(), bytes.len(), c"r".as_ptr()) };
        if file.is_null() {
            return Err(io::Error::last_os_error().to_string());
        }
        let mut reason = [0; ERROR_BYTES];
        // SAFETY: the file is open, and becomes the handle's; there is room for an error.
        let handle = unsafe { open(file, reason.as_mut_ptr()) };
        if handle.is_null() {
            // SAFETY: without a handle the file is still ours.
            unsafe { libc::fclose(file) };
            let reason = reason.map(c_char::cast_unsigned);
            let reason = CStr::from_bytes_until_nul(&reason).unwrap_or_default();
            return Err(reason.to_string_lossy().into_owned());
        }
        Ok(handle)
    }

    /// # Safety
    /// `handle` must be open.
    unsafe fn compile_on(&self, handle: Handle, expression: &CStr) -> Result<Program, String> {
        type Compile =
            unsafe extern "C" fn(Handle, *mut Compiled, *const c_char, c_int, c_uint) -> c_int;
        type Error = unsafe extern "C" fn(Handle) -> *const c_char;
        type Free = unsafe extern "C" fn(*mut Compiled);
        let said = |error: libloading::Error| error.to_string();
        // SAFETY: these are the functions' types.
        let (compile, error, free): (Symbol<'_, Compile>, Symbol<'_, Error>, Symbol<'_, Free>) = unsafe {
            (
                self.0.get(b"pcap_compile\0").map_err(said)?,
                self.0.get(b"pcap_geterr\0").map_err(said)?,
                self.0.get(b"pcap_freecode\0").map_err(said)?,
            )
        };
        let mut compiled = Compiled { length: 0, instructions: ptr::null_mut() };
        // SAFETY: all pointers are valid for the call.
        let status =
            unsafe { compile(handle, &raw mut compiled, expression.as_ptr(), 1, UNKNOWN_NETMASK) };
        if status != 0 {
            // SAFETY: a string that lives as long as the handle.
            return Err(unsafe { CStr::from_ptr(error(handle)) }.to_string_lossy().into_owned());
        }
        // SAFETY: after success there are `length` instructions, until they are freed below.
        let instructions = unsafe { compiled.to_vec() };
        // SAFETY: it was filled by `compile` and is not used any more.
        unsafe { free(&raw mut compiled) };
        Program::new(instructions).ok_or_else(|| "the program is too long".to_owned())
    }
}

impl Compiled {
    /// # Safety
    /// There must be `length` instructions.
    unsafe fn to_vec(&self) -> Vec<Instruction> {
        if self.instructions.is_null() {
            return Vec::new();
        }
        // SAFETY: by contract.
        unsafe { std::slice::from_raw_parts(self.instructions, self.length as usize) }.to_vec()
    }
}

/// A capture file (<https://www.tcpdump.org/manpages/pcap-savefile.5.txt>) without packets.
fn empty_file(link: u16) -> [u8; 24] {
    const MAGIC: u32 = 0xa1b2_c3d4;
    const VERSION: [u16; 2] = [2, 4];
    let mut bytes = [0; 24];
    let version = VERSION.map(u16::to_ne_bytes);
    let fields = [
        (0, MAGIC.to_ne_bytes()),
        (4, [version[0][0], version[0][1], version[1][0], version[1][1]]),
        (16, SNAP_LENGTH.to_ne_bytes()),
        (20, u32::from(link).to_ne_bytes()),
    ];
    for (place, field) in fields {
        if let Some(bytes) = bytes.get_mut(place..place + 4) {
            bytes.copy_from_slice(&field);
        }
    }
    bytes
}

/// libpcap's own number (`DLT_`) of a link type; only raw IP differs on Linux.
fn data_link(link_type: u16) -> c_int {
    match link_type {
        14 | 101 => 12,
        other => c_int::from(other),
    }
}
