//! Asks for the values that neither a flag nor a list provides.

use super::host;
use crate::app::init::Draft;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Result, no_answer};
use crate::cli::exit::Exit;
use crate::cluster::spec::Role;
use crate::config::{MASTER_KEYS, MASTER_LABELS};
use crate::store::layout::Layout;
use crate::ui::Screen;
use crate::ui::prompts::Prompts;

/// Asks for the name, the hosts and the endpoint, if they are missing.
///
/// # Errors
/// Returns a usage error if there is no terminal and no master was given, or an error if a question is not answered.
pub(super) fn complete(draft: &mut Draft, layout: &Layout, context: &mut Context<'_>) -> Result<()> {
    let screen = &mut context.screen;
    let Some(prompts) = context.prompts.as_deref_mut() else { return without_terminal(draft, layout, screen) };
    let mut questions = Questions { prompts, screen };
    if !draft.has_name() {
        let default = Draft::default_name(layout);
        questions.ask("Name of the cluster", Some(&default), |typed| draft.set_name(typed).map_err(in_words))?;
    }
    if !draft.has(Role::Master) {
        questions.hosts(draft, Role::Master)?;
        if !draft.has(Role::Node) {
            questions.endpoint(draft)?;
            questions.hosts(draft, Role::Node)?;
        }
    }
    questions.endpoint(draft)
}

fn without_terminal(draft: &mut Draft, layout: &Layout, screen: &mut Screen<'_>) -> Result<()> {
    if !draft.has_name() {
        let name = Draft::default_name(layout);
        draft.set_name(&name).map_err(|error| CliError::new(Exit::Bug, error.to_string()))?;
        screen.step(format_args!("the cluster is called {name}, like its folder; --name sets another name"));
    }
    if draft.has(Role::Master) {
        return Ok(());
    }
    let error = CliError::new(Exit::Usage, "no master was given, and there is no terminal to ask on");
    let hint = "name each with --master NAME=ADDRESS,ADDRESS";
    if !draft.is_imported() {
        return Err(error.hint(hint));
    }
    let labels = MASTER_LABELS.map(|(label, values)| format!("{label}={}", values.join("|")));
    let keys: Vec<&str> = MASTER_KEYS.into_iter().chain(labels.iter().map(String::as_str)).collect();
    Err(error.hint(format!(
        "{hint}. No listed node is marked as control plane (managed ones are not listed) by one of {}",
        keys.join(", ")
    )))
}

struct Questions<'q, 's> {
    prompts: &'q mut dyn Prompts,
    screen: &'q mut Screen<'s>,
}

impl Questions<'_, '_> {
    /// Asks until the answer is valid, so that no answer is lost at the end.
    fn ask<T>(
        &mut self,
        question: &str,
        default: Option<&str>,
        mut read: impl FnMut(&str) -> Result<T, String>,
    ) -> Result<T> {
        loop {
            let line =
                self.prompts.line(question, default).map_err(no_answer(format!("no answer was given: {question}")))?;
            match read(line.trim()) {
                Ok(answer) => return Ok(answer),
                Err(reason) => self.screen.warn(format_args!("{reason}; type it again")),
            }
        }
    }

    /// Asks for hosts until Enter alone is pressed. A cluster needs one master at least.
    fn hosts(&mut self, draft: &mut Draft, role: Role) -> Result<()> {
        let title = match role {
            Role::Master => "Master",
            Role::Node => "Node",
        };
        let question = format!("{title} (NAME=ADDRESS,ADDRESS; Enter when done)");
        loop {
            let added = self.ask(&question, None, |typed| {
                if typed.is_empty() {
                    return Ok(false);
                }
                draft.add(role, host(typed)?).map_err(in_words)?;
                Ok(true)
            })?;
            match added {
                true => {}
                false if role == Role::Master && !draft.has(role) => {
                    self.screen.warn("a cluster needs at least one master");
                }
                false => return Ok(()),
            }
        }
    }

    /// Asks for the endpoint of several masters.
    fn endpoint(&mut self, draft: &mut Draft) -> Result<()> {
        if !draft.needs_endpoint() {
            return Ok(());
        }
        self.ask("Endpoint that reaches all masters (https://HOST:PORT)", None, |typed| {
            draft.set_endpoint(typed).map_err(in_words)
        })
    }
}

fn in_words(error: impl std::error::Error) -> String {
    error.to_string()
}
