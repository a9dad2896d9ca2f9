//! Scalars read as what their reader expects, in the words of YAML 1.2's core schema (10.3.2).

use super::Problem;
use super::node::Scalar;
use std::str::FromStr;

impl Scalar {
    /// A whole number within the bounds of its type.
    pub(super) fn number<T: FromStr>(&self, least: &str, most: &str) -> Result<T, Problem> {
        let text = if self.is_quoted { None } else { Some(self.text.as_str()) };
        text.and_then(|text| text.parse().ok())
            .ok_or_else(|| self.refused(&format!("use a whole number from {least} to {most}")))
    }

    pub(super) fn float(&self) -> Result<f64, Problem> {
        let text = if self.is_quoted { None } else { Some(self.text.as_str()) };
        text.and_then(|text| text.parse().ok())
            .filter(|number: &f64| number.is_finite())
            .ok_or_else(|| self.refused("use a number"))
    }

    pub(super) fn boolean(&self) -> Result<bool, Problem> {
        match (self.is_quoted, self.text.as_str()) {
            (false, "true" | "True" | "TRUE") => Ok(true),
            (false, "false" | "False" | "FALSE") => Ok(false),
            _ => Err(self.refused("use true or false")),
        }
    }

    /// What is wrong, with the value: numbers and switches are no secrets.
    fn refused(&self, allowed: &str) -> Problem {
        let text = &self.text;
        if self.is_quoted {
            return Problem::new(format!("\"{text}\" in quotes is text; {allowed} without quotes"));
        }
        Problem::new(format!("`{text}` is impossible here; {allowed}"))
    }
}
