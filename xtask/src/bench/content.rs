//! Bodies: the same bytes on every run.

/// A JSON document of exactly that length.
pub(super) fn json(length: usize) -> Vec<u8> {
    let mut text = String::from("[");
    for number in 0.. {
        let entry = format!("{{\"id\":{number},\"name\":\"item {number}\",\"in_stock\":true}},");
        if text.len() + entry.len() + 2 > length {
            break;
        }
        text.push_str(&entry);
    }
    text.pop();
    let padding = length.saturating_sub(text.len() + 1);
    text.push_str(&" ".repeat(padding));
    text.push(']');
    text.into_bytes()
}

/// Bytes that no text contains, from a fixed generator (xorshift).
pub(super) fn bytes(length: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    })
    .take(length)
    .collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_document_is_json_of_the_length_asked_for() {
        let document = super::json(4096);
        assert_eq!(document.len(), 4096);
        assert!(serde_json::from_slice::<serde_json::Value>(&document).is_ok());
    }
}
