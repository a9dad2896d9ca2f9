//! The keys of a type of settings, asked of the type itself, so that no list has to be kept.

use serde::de::{DeserializeOwned, Deserializer, Error, Visitor};
use serde::forward_to_deserialize_any;
use std::fmt::{self, Display};

/// The keys that a struct of settings knows; none for another type.
#[must_use]
pub fn keys_of<T: DeserializeOwned>() -> &'static [&'static str] {
    T::deserialize(Question).err().map_or(&[], |Answer(keys)| keys)
}

/// Answers what a type asks for with a refusal that carries the question.
struct Question;

#[derive(Debug)]
struct Answer(&'static [&'static str]);

impl<'de> Deserializer<'de> for Question {
    type Error = Answer;

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Answer> {
        Err(Answer(&[]))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, Answer> {
        Err(Answer(fields))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

impl Display for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("only its keys were asked for")
    }
}

impl std::error::Error for Answer {}

impl Error for Answer {
    fn custom<T: Display>(_message: T) -> Self {
        Self(&[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_tells_its_keys() {
        #[derive(serde::Deserialize)]
        #[expect(dead_code, reason = "only its keys matter")]
        struct Sample {
            first: u8,
            #[serde(rename = "2nd")]
            second: u8,
        }
        assert_eq!(keys_of::<Sample>(), ["first", "2nd"]);
        assert!(keys_of::<u8>().is_empty());
    }
}
