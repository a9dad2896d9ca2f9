//! Programs of the classic BPF machine (McCanne and Jacobson 1993; bpf(4)), run over a packet.

/// Words of scratch memory.
const MEMORY: usize = 16;
/// Most instructions of a program, as the kernel has it (`BPF_MAXINSNS`).
const INSTRUCTIONS_LIMIT: usize = 4_096;

/// One instruction, as in C's `struct bpf_insn`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instruction {
    /// What to do.
    pub code: u16,
    /// Instructions to pass over if a condition holds.
    pub jump_true: u8,
    /// Instructions to pass over if it does not.
    pub jump_false: u8,
    /// Operand.
    pub constant: u32,
}

/// A program; jumps go forward only, so each one ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program(Vec<Instruction>);

/// Registers and memory.
#[derive(Default)]
struct Machine {
    accumulator: u32,
    index: u32,
    memory: [u32; MEMORY],
}

/// What follows an instruction.
enum Step {
    Next,
    Jump(u32),
    Return(u32),
}

impl Program {
    /// A program; `None` if it is too long.
    #[must_use]
    pub fn new(instructions: Vec<Instruction>) -> Option<Self> {
        (instructions.len() <= INSTRUCTIONS_LIMIT).then_some(Self(instructions))
    }

    /// The instructions, for a machine elsewhere.
    #[must_use]
    pub fn instructions(&self) -> &[Instruction] {
        &self.0
    }

    /// Whether the program accepts a packet that had `length` bytes on the wire.
    #[must_use]
    pub fn accepts(&self, packet: &[u8], length: u32) -> bool {
        self.run(packet, length).is_some_and(|bytes| bytes > 0)
    }

    /// `None` for what the machine rejects: a load behind the packet, a division by zero, an
    /// unknown instruction.
    fn run(&self, packet: &[u8], length: u32) -> Option<u32> {
        let mut machine = Machine::default();
        let mut at = 0_usize;
        loop {
            let instruction = self.0.get(at)?;
            match machine.step(instruction, packet, length)? {
                Step::Next => at += 1,
                Step::Jump(distance) => at = at.checked_add(1)?.checked_add(distance as usize)?,
                Step::Return(value) => return Some(value),
            }
        }
    }
}

impl Machine {
    /// The lowest three bits are the class.
    fn step(&mut self, instruction: &Instruction, packet: &[u8], length: u32) -> Option<Step> {
        match instruction.code & 0x07 {
            0x00 => self.accumulator = self.load(instruction, packet, length)?,
            0x01 => self.index = self.load_index(instruction, packet, length)?,
            0x02 => *self.memory.get_mut(instruction.constant as usize)? = self.accumulator,
            0x03 => *self.memory.get_mut(instruction.constant as usize)? = self.index,
            0x04 => self.accumulator = self.compute(instruction)?,
            0x05 => return Some(Step::Jump(self.jump(instruction)?)),
            0x06 => return Some(Step::Return(self.result(instruction))),
            _ => self.transfer(instruction),
        }
        Some(Step::Next)
    }

    fn load(&self, instruction: &Instruction, packet: &[u8], length: u32) -> Option<u32> {
        let constant = instruction.constant;
        match instruction.code & 0xe0 {
            0x00 => Some(constant),
            0x20 => number(packet, constant, instruction.code),
            0x40 => number(packet, self.index.checked_add(constant)?, instruction.code),
            0x60 => self.memory.get(constant as usize).copied(),
            0x80 => Some(length),
            _ => None,
        }
    }

    fn load_index(&self, instruction: &Instruction, packet: &[u8], length: u32) -> Option<u32> {
        const HEADER_LENGTH: u16 = 0xa0;
        const BYTE: u16 = 0x10;
        if instruction.code & 0xe0 == HEADER_LENGTH {
            return number(packet, instruction.constant, BYTE).map(|byte| 4 * (byte & 0x0f));
        }
        self.load(instruction, packet, length)
    }

    fn operand(&self, instruction: &Instruction) -> u32 {
        if instruction.code & 0x08 == 0 { instruction.constant } else { self.index }
    }

    fn compute(&self, instruction: &Instruction) -> Option<u32> {
        let (left, right) = (self.accumulator, self.operand(instruction));
        match instruction.code & 0xf0 {
            0x00 => Some(left.wrapping_add(right)),
            0x10 => Some(left.wrapping_sub(right)),
            0x20 => Some(left.wrapping_mul(right)),
            0x30 => left.checked_div(right),
            0x40 => Some(left | right),
            0x50 => Some(left & right),
            0x60 => Some(left.checked_shl(right).unwrap_or(0)),
            0x70 => Some(left.checked_shr(right).unwrap_or(0)),
            0x80 => Some(left.wrapping_neg()),
            0x90 => left.checked_rem(right),
            0xa0 => Some(left ^ right),
            _ => None,
        }
    }

    fn jump(&self, instruction: &Instruction) -> Option<u32> {
        let (left, right) = (self.accumulator, self.operand(instruction));
        let holds = match instruction.code & 0xf0 {
            0x00 => return Some(instruction.constant),
            0x10 => left == right,
            0x20 => left > right,
            0x30 => left >= right,
            0x40 => left & right != 0,
            _ => return None,
        };
        let distance = if holds { instruction.jump_true } else { instruction.jump_false };
        Some(u32::from(distance))
    }

    fn result(&self, instruction: &Instruction) -> u32 {
        if instruction.code & 0x18 == 0x10 { self.accumulator } else { instruction.constant }
    }

    fn transfer(&mut self, instruction: &Instruction) {
        if instruction.code & 0xf8 == 0 {
            self.index = self.accumulator;
        } else {
            self.accumulator = self.index;
        }
    }
}

/// The big-endian number of the size that a load's code says.
fn number(packet: &[u8], offset: u32, code: u16) -> Option<u32> {
    let rest = packet.get(offset as usize..)?;
    match code & 0x18 {
        0x00 => rest.first_chunk().map(|bytes| u32::from_be_bytes(*bytes)),
        0x08 => rest.first_chunk().map(|bytes| u32::from(u16::from_be_bytes(*bytes))),
        0x10 => rest.first().map(|byte| u32::from(*byte)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn program(lines: &[(u16, u8, u8, u32)]) -> Program {
        let instructions = lines.iter().map(|&(code, jump_true, jump_false, constant)| {
            Instruction { code, jump_true, jump_false, constant }
        });
        Program::new(instructions.collect()).unwrap()
    }

    /// What `tcpdump -ddd tcp port 80` prints for Ethernet.
    fn tcp_port_80() -> Program {
        program(&[
            (40, 0, 0, 12),
            (21, 0, 6, 34525),
            (48, 0, 0, 20),
            (21, 0, 15, 6),
            (40, 0, 0, 54),
            (21, 12, 0, 80),
            (40, 0, 0, 56),
            (21, 10, 11, 80),
            (21, 0, 10, 2048),
            (48, 0, 0, 23),
            (21, 0, 8, 6),
            (40, 0, 0, 20),
            (69, 6, 0, 8191),
            (177, 0, 0, 14),
            (72, 0, 0, 14),
            (21, 2, 0, 80),
            (72, 0, 0, 16),
            (21, 0, 1, 80),
            (6, 0, 0, 262144),
            (6, 0, 0, 0),
        ])
    }

    /// Ethernet, IPv4 with one option word, TCP to the given port.
    fn packet(port: u8) -> Vec<u8> {
        let mut bytes = vec![0; 12];
        bytes.extend([0x08, 0x00, 0x46, 0, 0, 44, 0, 0, 0, 0, 64, 6, 0, 0]);
        bytes.extend([10, 0, 0, 1, 10, 0, 0, 2, 1, 1, 1, 1]);
        bytes.extend([0x30, 0x39, 0, port]);
        bytes
    }

    #[test]
    fn a_program_of_tcpdump_finds_its_packets() {
        let program = tcp_port_80();
        assert!(program.accepts(&packet(80), 60));
        assert!(!program.accepts(&packet(81), 60));
        let mut udp = packet(80);
        if let Some(protocol) = udp.get_mut(23) {
            *protocol = 17;
        }
        assert!(!program.accepts(&udp, 60));
        assert!(!program.accepts(packet(80).get(..36).unwrap(), 60), "ports are cut off");
    }

    #[test]
    fn arithmetic_and_memory() {
        // A = length; M[3] = A; A -= 58 (2); X = A; A = M[3]; A /= X; return A == 30
        let lines = [
            (0x80, 0, 0, 0),
            (0x02, 0, 0, 3),
            (0x14, 0, 0, 58),
            (0x07, 0, 0, 0),
            (0x60, 0, 0, 3),
            (0x3c, 0, 0, 0),
            (0x15, 0, 1, 30),
            (0x06, 0, 0, 1),
            (0x06, 0, 0, 0),
        ];
        assert!(program(&lines).accepts(&[], 60));
        assert!(!program(&lines).accepts(&[], 61));
        assert!(!program(&lines).accepts(&[], 58), "a division by zero rejects");
    }

    proptest! {
        #[test]
        fn any_program_ends(
            lines in proptest::collection::vec((any::<u16>(), any::<u8>(), any::<u8>(), 0_u32..64), 0..64),
            packet in proptest::collection::vec(any::<u8>(), 0..64),
        ) {
            let _ = program(&lines).accepts(&packet, 64);
        }
    }
}
