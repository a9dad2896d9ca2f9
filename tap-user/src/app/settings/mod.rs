//! Settings in two layers: as they are typed ([`SettingsFile`], where all defaults stand), and
//! resolved for a command. What the command line names is put over what the file says, and both
//! are resolved together, so that there is one place for each rule and one for each default.

mod documentation;
mod file;
mod load;
mod overlay;
mod policy;
mod resolved;
mod schema;
mod selection;
#[cfg(test)]
mod tables;
mod values;

pub(super) use documentation::defaults;
pub(super) use file::SettingsFile;
pub(super) use load::Loaded;
pub(super) use resolved::{
    ReadSettings, RecordSettings, SendSettings, Settings, for_read, for_run, for_send, for_watch,
};
pub(super) use schema::schema;
pub(super) use selection::select;
pub(super) use values::{
    BodyCap, HeaderName, Namespace, Nice, ProcessId, ProcessName, RingSize, SnapLength,
};
