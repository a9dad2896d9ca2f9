//! Sequence numbers wrap (RFC 9293, section 3.4); positions do not.
//!
//! A *position* is a sequence number widened to 64 bits: its low half is the sequence number
//! itself, its high half counts wraps. The first of a stream lies one wrap above zero, so that
//! what lies before it has a position too.

/// Where the positions of a stream begin.
const ORIGIN: u64 = 1 << 32;

/// Position of the first sequence number that is known of a stream.
pub(super) fn first(sequence: u32) -> u64 {
    ORIGIN | u64::from(sequence)
}

/// The position with that sequence number that is nearest to `near`.
pub(super) fn widen(sequence: u32, near: u64) -> u64 {
    let [.., a, b, c, d] = near.to_be_bytes();
    let distance = sequence.wrapping_sub(u32::from_be_bytes([a, b, c, d])).cast_signed();
    near.saturating_add_signed(i64::from(distance))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_position_is_taken() {
        let near = 0x1_ffff_fff0;
        assert_eq!(first(0xffff_fff0), near);
        assert_eq!(widen(0xffff_ffff, near), 0x1_ffff_ffff);
        assert_eq!(widen(0x0000_0010, near), 0x2_0000_0010);
        assert_eq!(widen(0xffff_ff00, near), 0x1_ffff_ff00);
        assert_eq!(widen(0xffff_fff0, 0x2_0000_0010), near);
    }
}
