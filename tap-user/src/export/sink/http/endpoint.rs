//! The address that records are posted to.

use crate::document::Problem;
use reqwest::Url;

/// The URL of `base` with `segments` behind its path, each of them percent-encoded.
pub(in crate::export::sink) fn endpoint(
    key: &'static str,
    example: &'static str,
    base: &str,
    segments: &[&str],
) -> Result<Url, Problem> {
    // Without the address: it may have a password inside.
    let invalid = |what| Problem::at(key, format!("the address {what}; write it as {example}"));
    let mut url = Url::parse(base).map_err(|_| invalid("is not a URL"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(invalid("is neither http:// nor https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid("holds a user or password"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(invalid("holds a query or fragment"));
    }
    let mut path = url.path_segments_mut().map_err(|()| invalid("is not a URL"))?;
    path.pop_if_empty().extend(segments);
    drop(path);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_bucket(base: &str, bucket: &str) -> Result<String, String> {
        let segments = ["buckets", bucket, "messages"];
        endpoint("api_endpoint", "https://h", base, &segments)
            .map(|url| url.to_string())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn paths_are_kept_and_keys_are_encoded() {
        for (base, bucket, expected) in [
            ("https://api.runscope.com", "k", "https://api.runscope.com/buckets/k/messages"),
            ("http://h:8080/proxy/", "k", "http://h:8080/proxy/buckets/k/messages"),
            ("http://[::1]:1/a", "a/b?c d", "http://[::1]:1/a/buckets/a%2Fb%3Fc%20d/messages"),
        ] {
            assert_eq!(with_bucket(base, bucket).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn errors_name_the_key_and_never_the_password() {
        for (base, problem) in [
            ("api.runscope.com", "is not a URL"),
            ("ftp://h", "is neither http:// nor https://"),
            ("https://u:hunter2@h", "holds a user or password"),
            ("https://h/?token=hunter2", "holds a query or fragment"),
            ("https://h/#x", "holds a query or fragment"),
        ] {
            let expected = format!("api_endpoint: the address {problem}; write it as https://h");
            assert_eq!(with_bucket(base, "k"), Err(expected), "{base}");
        }
    }
}
