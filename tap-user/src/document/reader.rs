//! Typed settings out of a tree: serde asks for what a type needs, and gets it, or a problem with
//! its place.

use super::Problem;
use super::node::{Entry, Node, Scalar, Value};
use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

pub(super) struct Reader<'a>(pub(super) &'a Node);

impl<'a> Reader<'a> {
    fn scalar(&self, wanted: &str) -> Result<&'a Scalar, Problem> {
        match &self.0.value {
            Value::Scalar(scalar) => Ok(scalar),
            other => Err(mismatch(other, wanted)),
        }
    }

    fn entries(&self) -> Result<&'a [Entry], Problem> {
        match &self.0.value {
            Value::Map(entries) => Ok(entries),
            // `stdout:` with nothing behind it has all its defaults.
            Value::Null => Ok(&[]),
            other => Err(mismatch(other, "keys with values")),
        }
    }

    fn list(&self) -> Result<&'a [Node], Problem> {
        match &self.0.value {
            Value::List(list) => Ok(list),
            Value::Scalar(Scalar { is_option: true, .. }) => Ok(std::slice::from_ref(self.0)),
            other => Err(mismatch(other, "a list, as [one, two]")),
        }
    }
}

/// Says what kind of thing stands there, but never its text, which may be a secret.
fn mismatch(value: &Value, wanted: &str) -> Problem {
    let kind = match value {
        Value::Null => "empty",
        Value::Scalar(_) => "a single value",
        Value::List(list) if list.first().is_some_and(Node::is_option) => {
            return Problem::new("this key is given twice; it has one value");
        }
        Value::List(_) => "a list",
        Value::Map(_) => "keys with values",
    };
    Problem::new(format!("this is {kind}; use {wanted}"))
}

impl Node {
    fn is_option(&self) -> bool {
        matches!(self.value, Value::Scalar(Scalar { is_option: true, .. }))
    }
}

macro_rules! whole_numbers {
    ($($deserialize:ident $visit:ident $type:ident)*) => {
        $(fn $deserialize<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
            let (least, most) = ($type::MIN.to_string(), $type::MAX.to_string());
            visitor.$visit(self.scalar("a whole number")?.number(&least, &most)?)
        })*
    };
}

impl<'de> Deserializer<'de> for Reader<'_> {
    type Error = Problem;

    whole_numbers! {
        deserialize_u8 visit_u8 u8
        deserialize_u16 visit_u16 u16
        deserialize_u32 visit_u32 u32
        deserialize_u64 visit_u64 u64
        deserialize_i8 visit_i8 i8
        deserialize_i16 visit_i16 i16
        deserialize_i32 visit_i32 i32
        deserialize_i64 visit_i64 i64
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_f64(self.scalar("a number")?.float()?)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_bool(self.scalar("true or false")?.boolean()?)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_str(&self.scalar("a text")?.text)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.0.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Problem> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_seq(List { list: self.list()?, index: 0 })
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_map(Map { entries: self.entries()?, current: None })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        visitor.visit_enum(match &self.0.value {
            Value::Scalar(scalar) => Variant { name: &scalar.text, content: None },
            Value::Map(entries) => match entries.as_slice() {
                [entry] => Variant { name: &entry.key, content: Some(entry) },
                _ => {
                    let names = variants.join(", ");
                    return Err(Problem::new(format!("use exactly one of {names}")));
                }
            },
            other => return Err(mismatch(other, &format!("one of {}", variants.join(", ")))),
        })
    }

    /// For types that take whatever is written.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        let scalar = match &self.0.value {
            Value::Null => return visitor.visit_unit(),
            Value::List(_) => return self.deserialize_seq(visitor),
            Value::Map(_) => return self.deserialize_map(visitor),
            Value::Scalar(scalar) => scalar,
        };
        if let Ok(value) = scalar.boolean() {
            return visitor.visit_bool(value);
        }
        if let Ok(value) = scalar.number("", "") {
            return visitor.visit_u64(value);
        }
        if let Ok(value) = scalar.number("", "") {
            return visitor.visit_i64(value);
        }
        match scalar.float() {
            Ok(value) => visitor.visit_f64(value),
            Err(_) => visitor.visit_str(&scalar.text),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        i128 u128 char bytes byte_buf unit unit_struct tuple tuple_struct identifier
    }
}

struct List<'a> {
    list: &'a [Node],
    index: usize,
}

impl<'de> SeqAccess<'de> for List<'_> {
    type Error = Problem;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Problem> {
        let Some(node) = self.list.get(self.index) else { return Ok(None) };
        let index = self.index;
        self.index += 1;
        let value = seed.deserialize(Reader(node));
        value.map(Some).map_err(|problem| problem.or_at(node.line).below_entry(index))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.list.len().saturating_sub(self.index))
    }
}

struct Map<'a> {
    entries: &'a [Entry],
    current: Option<&'a Entry>,
}

impl<'de> MapAccess<'de> for Map<'_> {
    type Error = Problem;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Problem> {
        let Some((entry, rest)) = self.entries.split_first() else { return Ok(None) };
        self.entries = rest;
        self.current = Some(entry);
        let key: StrDeserializer<'_, Problem> = entry.key.as_str().into_deserializer();
        seed.deserialize(key).map(Some).map_err(|problem| problem.or_at(entry.line))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Problem> {
        let entry =
            self.current.take().ok_or_else(|| Problem::new("a value comes after its key"))?;
        below(entry, seed.deserialize(Reader(&entry.value)))
    }
}

/// The line of a key is more exact than that of its value, which may begin on the next.
fn below<T>(entry: &Entry, value: Result<T, Problem>) -> Result<T, Problem> {
    value.map_err(|problem| {
        let is_here = problem.key().is_empty();
        let line = if is_here { entry.value.line } else { entry.line };
        problem.or_at(line).below(&entry.key)
    })
}

/// A choice: by its name alone (`auto`), or with what belongs to it (`hash: {key: …}`).
struct Variant<'a> {
    name: &'a str,
    content: Option<&'a Entry>,
}

impl<'de, 'a> EnumAccess<'de> for Variant<'a> {
    type Error = Problem;
    type Variant = Content<'a>;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Content<'a>), Problem> {
        let name: StrDeserializer<'_, Problem> = self.name.into_deserializer();
        let line = self.content.and_then(|entry| entry.line);
        let name = seed.deserialize(name).map_err(|problem| problem.or_at(line))?;
        Ok((name, Content(self.content)))
    }
}

struct Content<'a>(Option<&'a Entry>);

impl<'a> Content<'a> {
    fn entry(&self) -> Result<&'a Entry, Problem> {
        self.0.ok_or_else(|| Problem::new("this needs keys or a value behind it"))
    }
}

impl<'de> VariantAccess<'de> for Content<'_> {
    type Error = Problem;

    fn unit_variant(self) -> Result<(), Problem> {
        match self.0 {
            Some(Entry { value: Node { value: Value::Null, .. }, .. }) | None => Ok(()),
            Some(entry) => Err(Problem::at(&entry.key, "this takes no value").or_at(entry.line)),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Problem> {
        let entry = self.entry()?;
        below(entry, seed.deserialize(Reader(&entry.value)))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Problem> {
        let entry = self.entry()?;
        below(entry, Reader(&entry.value).deserialize_seq(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        let entry = self.entry()?;
        below(entry, Reader(&entry.value).deserialize_map(visitor))
    }
}
