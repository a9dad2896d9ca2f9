//! Who is watched, resolved: names of places become what the kernel knows them by.

use super::file::{SelectSettings, SettingsFile};
use super::load::Loaded;
use super::values::Namespace;
use crate::app::arguments::SelectionArguments;
use crate::capture::selection::{Selection, control_group_identifier};
use crate::document::Problem;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Kong's proxy ports.
const DEFAULT_PORTS: [u16; 2] = [8_000, 8_443];

/// Who is watched by the command line alone.
pub(crate) fn select(arguments: &SelectionArguments) -> Result<Selection, Problem> {
    let mut loaded = Loaded::read(None)?;
    loaded.put_selection(arguments);
    selection(&loaded.settings).map_err(|problem| loaded.place(problem))
}

/// Kong's ports are watched unless something else is named: processes, ports, or a filter.
pub(super) fn selection(settings: &SettingsFile) -> Result<Selection, Problem> {
    let SelectSettings { ports, processes, pids, network_namespace, control_group, .. } =
        &settings.select;
    let mut ports: Vec<u16> = ports.iter().map(|port| port.number()).collect();
    let is_named = !(ports.is_empty() && processes.is_empty() && pids.is_empty());
    if !is_named && settings.capture_filter.is_none() {
        ports = DEFAULT_PORTS.to_vec();
    }
    let below = |problem: Problem| problem.below("select");
    Ok(Selection {
        ports,
        names: processes.iter().map(ToString::to_string).collect(),
        pids: pids.iter().map(|pid| pid.0).collect(),
        network_namespace: network_namespace.as_ref().map(inode).transpose().map_err(below)?,
        control_group: control_group.as_deref().map(group).transpose().map_err(below)?,
    })
}

fn inode(namespace: &Namespace) -> Result<u32, Problem> {
    let path = match namespace {
        Namespace::Inode(inode) => return Ok(*inode),
        Namespace::Path(path) => path,
    };
    let problem = |error: String| {
        let allowed = "use its inode number or its path";
        Problem::at("network_namespace", format!("`{}`: {error}; {allowed}", path.display()))
    };
    let file = std::fs::metadata(path).map_err(|error| problem(error.to_string()))?;
    u32::try_from(file.ino()).map_err(|_| problem("this is no namespace".to_owned()))
}

fn group(path: &Path) -> Result<u64, Problem> {
    let relative = path.strip_prefix("/").unwrap_or(path);
    let found = control_group_identifier(relative).or_else(|| control_group_identifier(path));
    found.ok_or_else(|| {
        let message = format!("`{}` does not exist; use a path below the mount", path.display());
        Problem::at("control_group", message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kongs_ports_are_watched_unless_something_else_is_named() {
        let none = SelectionArguments::default();
        assert_eq!(select(&none).unwrap().ports, [8_000, 8_443]);
        let by_name = SelectionArguments { process: vec!["nginx".parse().unwrap()], ..none };
        assert!(select(&by_name).unwrap().ports.is_empty());
    }

    #[test]
    fn what_does_not_exist_names_its_flag() {
        let namespace = Namespace::Path("/nowhere".into());
        let arguments = SelectionArguments { netns: Some(namespace), ..Default::default() };
        let problem = select(&arguments).unwrap_err().to_string();
        assert!(problem.starts_with("--netns: select.network_namespace: `/nowhere`"), "{problem}");
    }
}
