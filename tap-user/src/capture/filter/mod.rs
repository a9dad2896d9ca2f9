//! Filter expressions as tcpdump has them: libpcap compiles, a small machine here runs.

mod libpcap;
mod program;

pub use libpcap::FilterError;
pub use program::{Instruction, Program};

use crate::frame::Frame;
use libpcap::{Libpcap, Origin};

/// Compiles an expression for live packets of one link type.
///
/// # Errors
/// There is no libpcap, or it does not understand the expression.
pub fn compile(expression: &str, link_type: u16) -> Result<Program, FilterError> {
    Libpcap::load()?.compile(expression, link_type, Origin::Interface)
}

/// The same for packets of a file.
///
/// # Errors
/// There is no libpcap, or it does not understand the expression.
pub fn compile_for_file(expression: &str, link_type: u16) -> Result<Program, FilterError> {
    Libpcap::load()?.compile(expression, link_type, Origin::File)
}

/// An expression, compiled for each link type that comes along in files.
pub struct PacketFilter {
    expression: String,
    library: Libpcap,
    /// By link type. A file has few, so a list is enough.
    programs: Vec<(u16, Program)>,
}

impl PacketFilter {
    /// An expression, tried on Ethernet so that a mistake in it is told at once.
    ///
    /// # Errors
    /// There is no libpcap, or it does not understand the expression.
    pub fn new(expression: &str) -> Result<Self, FilterError> {
        const ETHERNET: u16 = 1;
        let library = Libpcap::load()?;
        let program = library.compile(expression, ETHERNET, Origin::File)?;
        Ok(Self { expression: expression.to_owned(), library, programs: vec![(ETHERNET, program)] })
    }

    /// Whether the expression accepts a frame.
    ///
    /// # Errors
    /// The expression has no meaning for its link type.
    pub fn matches(&mut self, frame: &Frame<'_>) -> Result<bool, FilterError> {
        let link_type = frame.link_type;
        if !self.programs.iter().any(|(of, _)| *of == link_type) {
            let program = self.library.compile(&self.expression, link_type, Origin::File)?;
            self.programs.push((link_type, program));
        }
        let program = self.programs.iter().find(|(of, _)| *of == link_type);
        Ok(program.is_some_and(|(_, program)| program.accepts(frame.bytes, frame.original_length)))
    }
}
