//! All of it in words.

use super::{Exchanges, Policy, Source, Totals};
use std::fmt;

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Exchanges { client, upstream, .. } = self.exchanges;
        write!(f, "exchanges  {} ({client} client, {upstream} upstream)", client + upstream)?;
        if !matches!(self.source, Source::Records(_)) {
            write!(f, "\nconnections")?;
        }
        for (protocol, count) in &self.connections {
            write!(f, " {count} {protocol}")?;
        }
        write!(f, "{}", self.policy)?;
        match &self.source {
            #[cfg(feature = "probes")]
            Source::Probes { bytes, kernel } => write!(f, "{bytes}{kernel}")?,
            Source::Interface(interface) => write!(f, "{interface}")?,
            Source::Packets(packets) => write!(f, "{packets}")?,
            Source::Records(records) => write!(f, "{records}")?,
        }
        for sink in &self.sinks {
            write!(f, "{sink}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values: u64 = self.redacted.values().sum();
        write!(f, "\npolicy     {values} values redacted")?;
        for (reason, count) in self.dropped.iter().filter(|(_, count)| **count > 0) {
            write!(f, ", {count} exchanges dropped by {reason}")?;
        }
        Ok(())
    }
}
