//! Asks the programs and services of a policy.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use zeroize::Zeroizing;

use crate::app::enrol::prepared::Reviewers;
use crate::cluster::enrolment::{Program, Webhook};
use crate::enrol::policy::Answer;
use crate::enrol::policy::review::{MAX_ANSWER, read_answer};
use crate::mailbox::{self, WebhookFiles};
use crate::pki::signer_error::ProgramError;
use crate::signers::process::{self, Call};
use crate::store::files;

/// How long a program or a service may take.
const LIMIT: Duration = Duration::from_secs(5);
/// The largest file with a CA, certificate or key for a service, in bytes.
const MAX_FILE: u64 = 1024 * 1024;

/// Runs programs on this machine, and sends reviews to services from it.
#[derive(Debug, Clone, Copy, Default)]
pub struct LocalReviewers;

impl Reviewers for LocalReviewers {
    fn exec(&self, program: &Program, folder: &Path, review: &Value) -> Answer {
        match run(program, &program.args, folder, review.to_string().into_bytes()) {
            Ok(output) => read(&output),
            Err(error) => Answer::Unknown(error.to_string()),
        }
    }

    fn webhook(&self, webhook: &Webhook, folder: &Path, review: &Value) -> Answer {
        let read_file = |path: &str| files::read(&folder.join(path), MAX_FILE).map_err(|error| error.to_string());
        let all = || {
            Ok::<_, String>(WebhookFiles {
                ca: read_file(&webhook.ca)?,
                certificate: read_file(&webhook.certificate)?,
                key: Zeroizing::new(read_file(&webhook.key)?),
            })
        };
        let files = match all() {
            Ok(files) => files,
            Err(reason) => return Answer::Unknown(reason),
        };
        let body = review.to_string().into_bytes();
        match mailbox::post(&webhook.url.to_string(), &files, body, LIMIT, MAX_ANSWER) {
            Ok(answer) => read(&answer),
            Err(error) => Answer::Unknown(format!("{}: {error}", webhook.url)),
        }
    }

    /// Puppet's contract: the certificate's name is the last argument, the request is on standard input, and exit status 0
    /// approves (Puppet, "SSL configuration: autosigning certificate requests").
    fn puppet_autosign(&self, program: &Program, folder: &Path, host: &str, csr: &[u8]) -> Answer {
        let mut args = program.args.clone();
        args.push(host.to_owned());
        match run(program, &args, folder, csr.to_vec()) {
            // Only the exit status counts, not the output.
            Ok(_) | Err(ProgramError::NoAnswer { .. }) => Answer::ok(format!("{} approves", program.program)),
            Err(ProgramError::Failed { status, .. }) if status.starts_with("exit status") => {
                Answer::Failed(format!("{}: {status}", program.program))
            }
            Err(error) => Answer::Unknown(error.to_string()),
        }
    }
}

fn run(program: &Program, args: &[String], folder: &Path, input: Vec<u8>) -> Result<Vec<u8>, ProgramError> {
    let call = Call { program: &program.program, args, folder, own_group: true, limit: MAX_ANSWER, timeout: LIMIT };
    process::run(&call, input)
}

fn read(answer: &[u8]) -> Answer {
    read_answer(answer).unwrap_or_else(|error| Answer::Unknown(error.to_string()))
}
