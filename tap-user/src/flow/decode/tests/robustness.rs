//! Any bytes may come: nothing panics, and every frame is accounted for.

use super::*;
use proptest::prelude::*;

const LINK_TYPES: [u16; 18] =
    [0, 1, 9, 12, 14, 50, 51, 101, 104, 105, 108, 113, 127, 228, 229, 239, 276, 999];

fn accounted_for(counters: &DecodeCounters) -> u64 {
    counters.segments
        + counters.not_ip
        + counters.not_tcp
        + counters.malformed
        + counters.unsupported_links.values().sum::<u64>()
}

/// A frame that is nearly right: tunnels within tunnels, with some bytes changed.
fn nearly_right() -> impl Strategy<Value = Vec<u8>> {
    let vxlan = udp(4_789, &join(&[&[8, 0, 0, 0, 0, 0, 1, 0], &ethernet([8, 0], &ipv4(6, TCP))]));
    let frame = ethernet([0x08, 0x00], &ipv4(17, &vxlan));
    let length = frame.len();
    proptest::collection::vec((0..length, any::<u8>()), 0..4).prop_map(move |changes| {
        let mut frame = frame.clone();
        for (place, value) in changes {
            if let Some(byte) = frame.get_mut(place) {
                *byte = value;
            }
        }
        frame
    })
}

fn check(frames: &[(usize, Vec<u8>, u32)]) {
    let mut decoder = Decoder::new(FragmentLimits::default());
    for (number, (link, bytes, more)) in frames.iter().enumerate() {
        let before = decoder.counters();
        let original_length = u32::try_from(bytes.len()).unwrap().saturating_add(*more);
        let link_type = LINK_TYPES.get(link % LINK_TYPES.len()).copied().unwrap();
        let frame = Frame { original_length, ..frame(link_type, bytes) };
        let found = decoder.decode(&frame).map(|packet| packet.payload.len());
        assert!(found.is_none_or(|length| length <= 65_535 + bytes.len()));
        let after = decoder.counters();
        assert_eq!(after.frames, number as u64 + 1);
        let was_fragment = after.fragments.seen > before.fragments.seen;
        assert!(was_fragment || accounted_for(&after) == accounted_for(&before) + 1);
    }
}

proptest! {
    #[test]
    fn any_bytes(
        frames in proptest::collection::vec(
            (any::<usize>(), proptest::collection::vec(any::<u8>(), 0..120), any::<u32>()), 1..8,
        ),
    ) {
        check(&frames);
    }

    #[test]
    fn nearly_right_frames(frames in proptest::collection::vec(nearly_right(), 1..8)) {
        check(&frames.into_iter().map(|bytes| (1, bytes, 0)).collect::<Vec<_>>());
    }
}
