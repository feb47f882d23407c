//! What a health check asks for: `/PATH`, or `:PORT/PATH`.
use minicloud_core::spec::HealthProbe;

use super::port_number;

/// A path of the task's HTTP component, or of another port of it.
pub fn health_http(text: &str) -> Result<HealthProbe, String> {
    let wrong = || format!("'{text}' is no path; write for example /healthz or :8080/healthz");
    let Some(rest) = text.strip_prefix(':') else {
        return if text.starts_with('/') { Ok(HealthProbe::Http { path: text.to_owned(), port: None }) } else { Err(wrong()) };
    };
    let (port, path) = rest.split_once('/').ok_or_else(wrong)?;
    Ok(HealthProbe::Http { path: format!("/{path}"), port: Some(port_number(port)?) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_may_have_a_port() {
        assert_eq!(health_http("/a?b=c"), Ok(HealthProbe::Http { path: "/a?b=c".into(), port: None }));
        assert_eq!(health_http(":81/a/b"), Ok(HealthProbe::Http { path: "/a/b".into(), port: Some(81) }));
        for wrong in ["healthz", ":81", ":0/a", ":x/a", "http://localhost/a", ""] {
            assert!(health_http(wrong).unwrap_err().contains("for example"), "{wrong}");
        }
    }
}
