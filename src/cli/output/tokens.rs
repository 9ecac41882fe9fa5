//! One-time tokens as text and JSON.

use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::app::enrol::tokens::TokenState;
use crate::cli::args::output::OutputFormat;
use crate::cluster::duration::stamp;
use crate::cluster::name::HostName;
use crate::enrol::token::{TokenRecord, TokenUse};
use crate::ui::Screen;

/// Shows a new token: the only time that its secret is shown. Returns false if it could not be written.
pub(crate) fn show_created(record: &TokenRecord, output: OutputFormat, screen: &mut Screen<'_>) -> bool {
    let text = record.token.to_text();
    if output == OutputFormat::Json {
        let mut value = value(record, record.created);
        value["schemaVersion"] = 1.into();
        value["token"] = text.as_str().into();
        return screen.answer_once(format_args!("{value:#}"));
    }
    if !screen.answer_once(text.as_str()) {
        return false;
    }
    let host = record.host.as_ref().map_or("", HostName::as_str);
    screen.step(format_args!(
        "for {host}, until {}; it is not shown again. Take it to {host} by a channel that others cannot read, and there: clusterctl \
         join --cluster ID@URL --token-file FILE",
        stamp(record.expires)
    ));
    true
}

/// Lists tokens without their secrets.
pub(crate) fn list(records: &[TokenRecord], now: OffsetDateTime, output: OutputFormat, screen: &mut Screen<'_>) {
    if output == OutputFormat::Json {
        let tokens: Vec<Value> = records.iter().map(|record| value(record, now)).collect();
        return screen.answer(format_args!("{:#}", json!({ "schemaVersion": 1, "tokens": tokens })));
    }
    for record in records {
        screen.answer(line(record, now));
    }
    if records.is_empty() {
        screen.step("there are no tokens. Create one with: clusterctl token create HOST");
    }
}

/// Shows a revoked token.
pub(crate) fn show_revoked(record: &TokenRecord, now: OffsetDateTime, output: OutputFormat, screen: &mut Screen<'_>) {
    if output == OutputFormat::Json {
        let mut value = value(record, now);
        value["schemaVersion"] = 1.into();
        return screen.answer(format_args!("{value:#}"));
    }
    screen.answer(line(record, now));
    if !record.uses.is_empty() {
        screen.step("certificates were issued for it; to revoke them: clusterctl revoke HOST");
    }
}

fn line(record: &TokenRecord, now: OffsetDateTime) -> String {
    let host = record.host.as_ref().map_or("", HostName::as_str);
    let (id, state, kind) = (&record.token.id, TokenState::of(record, now).as_str(), record.kind.as_str());
    format!("{id:<10}  {state:<7}  {kind:<8}  until {}  {host}", stamp(record.expires))
}

fn value(record: &TokenRecord, now: OffsetDateTime) -> Value {
    let used =
        |one: &TokenUse| json!({ "profile": one.profile.policy().name, "key": one.key.as_pin(), "at": stamp(one.at) });
    json!({
        "id": record.token.id,
        "kind": record.kind.as_str(),
        "state": TokenState::of(record, now).as_str(),
        "host": record.host.as_ref().map(HostName::as_str),
        "source": record.source.as_ref().map(ToString::to_string),
        "key": record.key.map(|key| key.as_pin()),
        "created": stamp(record.created),
        "expires": stamp(record.expires),
        "revoked": record.revoked.map(stamp),
        "uses": record.uses.iter().map(used).collect::<Vec<_>>(),
    })
}
