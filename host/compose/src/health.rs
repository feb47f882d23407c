//! Health tests: a component starts no other program, so the usual ones are put into requests that the node makes.
use crate::model::{At, HealthModel, Test};
use crate::place::{Error, Result};

/// How a task is asked whether it is well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    pub probe: Probe,
    pub interval_ms: Option<u64>,
    pub timeout_ms: Option<u64>,
    pub retries: Option<u32>,
    pub start_period_ms: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// A request that is answered with success; without a port: the one at which the component is served.
    Http { port: Option<u16>, path: String },
    /// A connection that is accepted.
    Tcp { port: u16 },
}

/// `None`: no check is wanted.
pub fn health(model: &At<HealthModel>) -> Result<Option<Health>> {
    let At { value: model, at } = model;
    if model.disable {
        return Ok(None);
    }
    let Some(test) = &model.test else {
        return Err(Error::at(at, "the health check has no test; write for example test: curl -f http://localhost/"));
    };
    let fail = || {
        let shown = match &test.value {
            Test::Shell(text) => text.clone(),
            Test::List(words) => words.join(" "),
        };
        let message = format!(
            "'{shown}' cannot be run: a component starts no other program; write curl -f http://localhost/PATH, wget --spider http://localhost/PATH, nc -z localhost PORT or redis-cli ping, which minicloud does itself"
        );
        Error::at(&test.at, message)
    };
    let words = match &test.value {
        Test::Shell(text) => shell(text).ok_or_else(fail)?,
        Test::List(list) => match list.split_first() {
            None => return Ok(None),
            Some((first, _)) if first == "NONE" => return Ok(None),
            Some((first, rest)) if first == "CMD-SHELL" => shell(&rest.join(" ")).ok_or_else(fail)?,
            Some((first, rest)) if first == "CMD" => rest.to_vec(),
            Some(_) => return Err(Error::at(&test.at, "a list as health test begins with CMD, CMD-SHELL or NONE")),
        },
    };
    Ok(Some(Health {
        probe: probe(&words).ok_or_else(fail)?,
        interval_ms: model.interval.map(|interval| interval.0),
        timeout_ms: model.timeout.map(|timeout| timeout.0),
        retries: model.retries,
        start_period_ms: model.start_period.map(|period| period.0),
    }))
}

/// The words of a command line without what only turns a failure into an exit code or hides output.
fn shell(text: &str) -> Option<Vec<String>> {
    let mut words = shlex::split(text)?;
    if let Some(at) = words.iter().position(|word| word == "||" || word == "|") {
        let rest: Vec<&str> = words[at..].iter().map(String::as_str).collect();
        match rest.as_slice() {
            ["||", "exit", _] | ["||", "false"] | ["|", "grep", "PONG"] | ["|", "grep", "-q" | "-i", "PONG"] => words.truncate(at),
            _ => return None,
        }
    }
    words.retain(|word| !matches!(word.as_str(), ">/dev/null" | "2>&1" | "&>/dev/null" | "2>/dev/null" | "1>/dev/null"));
    if let Some(at) = words.iter().position(|word| matches!(word.as_str(), ">" | "2>" | "&>"))
        && words.get(at + 1).is_some_and(|file| file == "/dev/null")
    {
        words.drain(at..at + 2);
    }
    let plain = words.iter().all(|word| !word.contains([';', '|', '`']) && !word.contains("&&") && !word.contains("$("));
    plain.then_some(words)
}

fn probe(words: &[String]) -> Option<Probe> {
    let (program, rest) = words.split_first()?;
    let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
    match program.rsplit('/').next()? {
        "curl" => url(only(
            &rest,
            &["-o", "--output", "-m", "--max-time", "--connect-timeout", "--retry", "-w", "--write-out", "-H", "--header", "-A"],
        )?),
        "wget" => url(only(&rest, &["-O", "-T", "--timeout", "-t", "--tries", "-o"])?),
        "nc" | "ncat" | "netcat" => connection(&rest),
        "redis-cli" => redis(&rest),
        "pg_isready" => Some(Probe::Tcp { port: option(&rest, &["-p", "--port"]).map_or(Some(5432), |port| port.parse().ok())? }),
        _ => None,
    }
}

/// The only argument that is no option; `with_value` are the options that take the word behind them.
fn only<'a>(words: &[&'a str], with_value: &[&str]) -> Option<&'a str> {
    let arguments = arguments(words, with_value);
    if let [argument] = arguments.as_slice() { Some(argument) } else { None }
}

fn arguments<'a>(words: &[&'a str], with_value: &[&str]) -> Vec<&'a str> {
    let mut arguments = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if with_value.contains(word) {
            words.next();
        } else if !word.starts_with('-') {
            arguments.push(*word);
        }
    }
    arguments
}

fn option<'a>(words: &[&'a str], names: &[&str]) -> Option<&'a str> {
    let at = words.iter().position(|word| names.contains(word))?;
    words.get(at + 1).copied()
}

fn is_own(host: &str) -> bool {
    matches!(host, "localhost" | "127.0.0.1" | "0.0.0.0" | "[::1]" | "::1" | "$HOSTNAME" | "${HOSTNAME}")
}

fn url(url: &str) -> Option<Probe> {
    let rest = url.strip_prefix("http://").unwrap_or(url);
    if rest.contains("://") {
        return None;
    }
    let (authority, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port.parse().ok().filter(|port| *port > 0)?)),
        _ => (authority, None),
    };
    is_own(host).then(|| Probe::Http { port: port.or(Some(80)), path: path.to_owned() })
}

fn connection(words: &[&str]) -> Option<Probe> {
    match arguments(words, &["-w", "-i"]).as_slice() {
        [host, port] if is_own(host) => Some(Probe::Tcp { port: port.parse().ok().filter(|port| *port > 0)? }),
        _ => None,
    }
}

fn redis(words: &[&str]) -> Option<Probe> {
    let with_value = ["-h", "-p", "-a", "--user", "--pass", "-n"];
    let own = option(words, &["-h"]).is_none_or(is_own);
    let ping = arguments(words, &with_value).iter().any(|word| word.eq_ignore_ascii_case("ping"));
    let port = option(words, &["-p"]).map_or(Some(6379), |port| port.parse().ok())?;
    (own && ping).then_some(Probe::Tcp { port })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place::Place;

    fn place() -> Place {
        Place { file: "f.yml".into(), line: 7, column: 13 }
    }

    fn read(test: Test) -> Result<Option<Probe>> {
        let test = At { value: test, at: place() };
        let model = At { value: HealthModel { test: Some(test), ..HealthModel::default() }, at: place() };
        Ok(health(&model)?.map(|health| health.probe))
    }

    fn shell(text: &str) -> Result<Option<Probe>> {
        read(Test::Shell(text.to_owned()))
    }

    fn http(port: u16, path: &str) -> Option<Probe> {
        Some(Probe::Http { port: Some(port), path: path.to_owned() })
    }

    #[test]
    fn the_usual_tests_are_understood() {
        for (text, expected) in [
            ("curl -f http://localhost/", http(80, "/")),
            ("curl --fail http://localhost:8080/health || exit 1", http(8080, "/health")),
            ("curl -sS -o /dev/null -f http://127.0.0.1:9000/a/b?c=d", http(9000, "/a/b?c=d")),
            ("curl -f localhost:3000", http(3000, "/")),
            ("wget --no-verbose --tries=1 --spider http://localhost:8080/ || exit 1", http(8080, "/")),
            ("wget -q -O - http://localhost/ok >/dev/null 2>&1", http(80, "/ok")),
            ("nc -z localhost 6379", Some(Probe::Tcp { port: 6379 })),
            ("nc -zv -w 2 127.0.0.1 53 || exit 1", Some(Probe::Tcp { port: 53 })),
            ("redis-cli ping", Some(Probe::Tcp { port: 6379 })),
            ("redis-cli -p 6380 --raw PING | grep PONG", Some(Probe::Tcp { port: 6380 })),
            ("pg_isready -U postgres", Some(Probe::Tcp { port: 5432 })),
        ] {
            assert_eq!(shell(text).unwrap(), expected, "{text}");
        }
        let words = |words: &[&str]| read(Test::List(words.iter().map(|word| (*word).to_owned()).collect()));
        assert_eq!(words(&["CMD", "curl", "-f", "http://localhost/"]).unwrap(), http(80, "/"));
        assert_eq!(words(&["CMD-SHELL", "redis-cli ping"]).unwrap(), Some(Probe::Tcp { port: 6379 }));
        assert_eq!(words(&["NONE"]).unwrap(), None);
        assert!(words(&["curl", "-f", "http://localhost/"]).unwrap_err().to_string().contains("begins with CMD"));
    }

    #[test]
    fn another_test_is_an_error_with_its_place() {
        for text in [
            "true",
            "cat /tmp/ready",
            "curl http://localhost/ && true",
            "curl http://other/",
            "nc -z db 5432",
            "curl https://localhost/",
            "test $(date)",
            "'",
        ] {
            let error = shell(text).unwrap_err().to_string();
            assert!(error.starts_with("f.yml:7:13: '") && error.contains("a component starts no other program"), "{text}: {error}");
        }
    }
}
