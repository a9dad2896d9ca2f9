//! A share of all exchanges, chosen by their correlation ids: both legs of a request, and all taps that see
//! it, choose alike.

use super::status::Statuses;
use crate::gateway::Observation;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Key for all that no other key names.
const DEFAULT: &str = "default";

/// How many exchanges leave, by status.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SamplingSettings {
    /// Share of exchanges from 0 (none) to 1 (all), by status (`404`), class (`5xx`), range
    /// (`400-428`), `none` (no response was seen) or `default` (all others; 1 if it is not there). The
    /// most exact one counts.
    pub rates: BTreeMap<String, Rate>,
}

/// A share from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Rate(f64);

/// A number is no share.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("{0} is no share: write a number from 0 (none) to 1 (all), such as 0.1")]
pub struct InvalidRate(f64);

/// Settings of sampling that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "sampling.rates: `{0}` names no status: write 404, 5xx, 400-428, none (no response was seen) \
     or default"
)]
pub struct InvalidSampling(String);

/// Chooses exchanges.
#[derive(Debug, Clone)]
pub struct Sampling {
    /// The most exact first.
    rates: Vec<(Statuses, Threshold)>,
    default: Threshold,
}

/// Ids whose hash is below it are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Threshold(u128);

impl Rate {
    /// A share.
    ///
    /// # Errors
    /// It is below 0 or above 1.
    pub fn new(share: f64) -> Result<Self, InvalidRate> {
        if (0.0..=1.0).contains(&share) { Ok(Self(share)) } else { Err(InvalidRate(share)) }
    }
}

impl Threshold {
    const ALL: Self = Self(1 << 64);

    fn new(rate: Rate) -> Self {
        // Exact for 0 and 1; saturates, so never above `ALL`.
        Self((rate.0 * (Self::ALL.0 as f64)) as u128)
    }
}

impl Sampling {
    /// Rates as settings have them.
    ///
    /// # Errors
    /// A key names no status.
    pub fn new(settings: &SamplingSettings) -> Result<Self, InvalidSampling> {
        let mut sampling = Self { rates: Vec::new(), default: Threshold::ALL };
        for (key, rate) in &settings.rates {
            let threshold = Threshold::new(*rate);
            if key == DEFAULT {
                sampling.default = threshold;
            } else {
                let statuses = key.parse().map_err(|_| InvalidSampling(key.clone()))?;
                sampling.rates.push((statuses, threshold));
            }
        }
        sampling.rates.sort_by_key(|(statuses, _)| statuses.count());
        Ok(sampling)
    }

    /// Whether the exchange is chosen. Upstream legs without correlation id are chosen by the id of their
    /// record.
    #[must_use]
    pub fn chooses(&self, observation: &Observation) -> bool {
        let status = observation.exchange.response.as_ref().map(|response| response.status);
        let found = self.rates.iter().find(|(statuses, _)| statuses.contain(status));
        let threshold = found.map_or(self.default, |(_, threshold)| *threshold);
        if threshold == Threshold::ALL {
            return true;
        }
        let correlation = observation.correlation.as_ref().map(|it| it.id.as_str());
        u128::from(hash(correlation.unwrap_or(&observation.id))) < threshold.0
    }
}

/// The first eight bytes of the id's SHA-256 as a big-endian number: easy to compute anywhere.
fn hash(id: &str) -> u64 {
    let digest = Sha256::digest(id.as_bytes());
    digest.first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(f64::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Rate {
    fn schema_name() -> Cow<'static, str> {
        "Rate".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "type": "number",
            "minimum": 0,
            "maximum": 1,
            "description": "A share from 0 (none) to 1 (all)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::examples::{example, with_id};

    fn sampling(yaml: &str) -> Sampling {
        Sampling::new(&serde_saphyr::from_str(yaml).unwrap()).unwrap()
    }

    /// FIPS 180-4's example "abc".
    #[test]
    fn the_hash_is_the_beginning_of_sha_256() {
        assert_eq!(hash("abc"), 0xba78_16bf_8f01_cfea);
    }

    #[test]
    fn all_errors_and_a_tenth_of_successes() {
        let sampling = sampling("rates: {5xx: 1, 2xx: 0.1, 404: 0, none: 1.0, default: 0.5}");
        let chosen = |status| {
            let ids =
                (0..10_000).map(|number| with_id(example("GET", "/", status), &number.to_string()));
            ids.filter(|observation| sampling.chooses(observation)).count()
        };
        assert_eq!(chosen(503), 10_000);
        assert!((900..1_100).contains(&chosen(200)), "{}", chosen(200));
        assert_eq!(chosen(404), 0);
        assert!((4_800..5_200).contains(&chosen(302)), "{}", chosen(302));
    }

    #[test]
    fn both_legs_choose_alike_and_more_contains_less() {
        let (less, more) = (sampling("rates: {default: 0.1}"), sampling("rates: {default: 0.3}"));
        for number in 0..1_000 {
            let client = with_id(example("GET", "/", 200), &number.to_string());
            let mut upstream = client.clone();
            upstream.id = "another".into();
            assert_eq!(less.chooses(&client), less.chooses(&upstream));
            assert!(more.chooses(&client) || !less.chooses(&client));
        }
    }

    #[test]
    fn what_is_no_share_or_status_is_refused() {
        let refused = serde_saphyr::from_str::<SamplingSettings>("rates:\n  2xx: 10").unwrap_err();
        assert!(refused.to_string().contains("0.1"), "{refused}");
        let settings = serde_saphyr::from_str("rates: {ok: 1}").unwrap();
        assert!(Sampling::new(&settings).unwrap_err().to_string().contains("`ok`"));
    }
}
