//! `join-token`
use std::path::Path;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use minicloud_core::state::Role;
use minicloud_node::api::types::JoinToken;

use super::{block_on, further};
use crate::connect;
use crate::data_dir::{Choice, program};
use crate::output::say;

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  minicloud join-token worker            print the command that adds a worker
  minicloud join-token -q manager        print only the token
  minicloud join-token --rotate worker   make a new token; the old one ends")]
pub struct JoinTokenArgs {
    /// Make a new token, and the old one worthless
    #[arg(long)]
    rotate: bool,
    /// Print only the token
    #[arg(short, long)]
    quiet: bool,
    /// Role that the new node shall have
    #[arg(value_name = "ROLE", value_parser = role())]
    role: Role,
}

fn role() -> impl TypedValueParser<Value = Role> {
    PossibleValuesParser::new(["worker", "manager"]).map(|text| if text == "manager" { Role::Manager } else { Role::Worker })
}

impl JoinTokenArgs {
    pub fn run(self, choice: &Choice) -> anyhow::Result<()> {
        let token: JoinToken = block_on(async {
            let client = connect::client(choice).await?;
            let token = if self.rotate { client.rotate_join_token(self.role).await } else { client.join_token(self.role).await };
            Ok::<_, anyhow::Error>(token?)
        })?;
        if self.quiet {
            say!("{}", token.token);
            return Ok(());
        }
        if self.rotate {
            say!("The old {} token is worth nothing any more.\n", self.role);
        }
        let folder = choice.for_running()?;
        say!("{}", instructions(&token, &program(), &folder));
        Ok(())
    }
}

/// Commands that can be pasted: on another machine, or on this one where the cluster lives on loopback.
pub fn instructions(token: &JoinToken, program: &str, folder: &Path) -> String {
    let JoinToken { role, token, address } = token;
    if address.ip().is_loopback() {
        let command = further::join(program, folder, token, *address);
        return format!("To add a {role} on this machine, with a folder and an address of its own, run:\n\n    {command}");
    }
    format!("To add a {role}, run on that machine:\n\n    {program} join --token {token} {address}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_can_be_pasted() {
        let mut token = JoinToken { role: Role::Worker, token: "MCTKN-1-x".into(), address: "192.0.2.7:2377".parse().unwrap() };
        let elsewhere = instructions(&token, "/opt/minicloud", Path::new("/data"));
        assert!(elsewhere.ends_with("\n    /opt/minicloud join --token MCTKN-1-x 192.0.2.7:2377"), "{elsewhere}");
        token.address = "127.0.0.1:2400".parse().unwrap();
        let here = instructions(&token, "/opt/minicloud", Path::new("/my data"));
        assert!(
            here.ends_with("/opt/minicloud --data-dir '/my data-2' join --listen-addr 127.0.0.2:2400 --token MCTKN-1-x 127.0.0.1:2400"),
            "{here}"
        );
    }
}
