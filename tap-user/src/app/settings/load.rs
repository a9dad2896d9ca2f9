//! A settings file with the place of each key, so that whatever is found wrong later names it.

use super::file::SettingsFile;
use crate::document::{self, Node, Problem};
use crate::secret::Secret;
use std::path::Path;

/// What was typed, in the file and on the command line.
#[derive(Debug, Clone)]
pub(crate) struct Loaded {
    pub(crate) settings: SettingsFile,
    /// The file's name and tree, if there is one.
    file: Option<(String, Node)>,
    /// Keys that the command line names, with its flags.
    pub(super) overridden: Vec<(&'static str, &'static str)>,
}

impl Loaded {
    /// Reads a file; without one, all is as its default.
    pub(crate) fn read(path: Option<&Path>) -> Result<Self, Problem> {
        let Some(path) = path else {
            let settings = SettingsFile::default();
            return Ok(Self { settings, file: None, overridden: Vec::new() });
        };
        let name = path.display().to_string();
        let in_file = |problem: Problem| problem.in_file(&name);
        let text = std::fs::read_to_string(path)
            .map_err(|error| in_file(Problem::new(error.to_string())))?;
        let node = document::parse_yaml(&text).map_err(in_file)?;
        let settings = document::read(&node).map_err(in_file)?;
        Ok(Self { settings, file: Some((name, node)), overridden: Vec::new() })
    }

    /// What is possible and unwise: files with secrets that everybody may read.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let holds_secret = |key: &str| key.ends_with("_file") || key == "tls_key";
        let files = self.file.iter().flat_map(|(_, node)| node.values_of(&holds_secret));
        files.filter_map(|file| Secret::warning(Path::new(file))).collect()
    }

    /// Where the key of a problem stands.
    pub(super) fn place(&self, problem: Problem) -> Problem {
        let key = problem.key();
        let covers = |given: &str| {
            let rest = key.strip_prefix(given);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        if let Some((_, flag)) = self.overridden.iter().find(|(given, _)| covers(given)) {
            return problem.in_file(*flag);
        }
        match &self.file {
            Some((name, node)) => {
                let line = node.line_of(key);
                problem.or_at(line).in_file(name)
            }
            None => problem,
        }
    }
}
