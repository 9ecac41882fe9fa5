//! What expires when, as an inline SVG: a lane for each kind of credential, a mark for each day on which some expire.

use std::collections::BTreeMap;
use std::fmt::Write;

use time::{Date, Duration, OffsetDateTime};

use super::escape::escaped;
use super::groups::Groups;
use crate::app::status::State;

/// The time that is drawn, from today on; what expires later is at the right edge.
const SPAN: Duration = Duration::days(400);
/// The time before today that is drawn.
const PAST: Duration = Duration::days(30);
/// The lanes; the kinds that expire first.
const LANES: usize = 24;

const WIDTH: f64 = 1000.0;
const LEFT: f64 = 210.0;
const RIGHT: f64 = 90.0;
const TOP: f64 = 30.0;
const LANE: f64 = 24.0;

/// The days on which credentials of one name expire: how many, and the worst state.
type Lane<'g> = BTreeMap<Date, (usize, State)>;

/// Returns the drawing; nothing where nothing expires.
pub(super) fn drawing(groups: &Groups, now: OffsetDateTime) -> String {
    let mut lanes: BTreeMap<&str, Lane<'_>> = BTreeMap::new();
    for (key, group) in &groups.0 {
        let Some(day) = key.day else { continue };
        let (count, worst) = lanes.entry(&key.credential).or_default().entry(day).or_insert((0, State::Valid));
        *count += group.count;
        *worst = (*worst).max(key.state.0);
    }
    if lanes.is_empty() {
        return String::new();
    }
    let mut lanes: Vec<(&str, Lane<'_>)> = lanes.into_iter().collect();
    lanes.sort_by_key(|(_, lane)| lane.keys().next().copied());
    let left_out = lanes.len().saturating_sub(LANES);
    lanes.truncate(LANES);
    let height = TOP + LANE * lanes.len() as f64 + 8.0;
    let mut svg = format!(
        "<div class=\"scroll\"><svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"When credentials expire, from {} \
         on\">\n",
        now.date()
    );
    axis(&mut svg, now, height);
    for (i, (name, lane)) in lanes.iter().enumerate() {
        let y = TOP + LANE * (i as f64 + 0.5);
        let _ = writeln!(svg, "<text x=\"0\" y=\"{:.0}\">{}</text>", y + 4.0, escaped(&shortened(name)));
        for (day, (count, state)) in lane {
            mark(&mut svg, *day, *count, *state, y, now);
        }
    }
    svg.push_str("</svg></div>\n");
    if left_out > 0 {
        let _ = writeln!(svg, "<p class=\"quiet\">{left_out} more kinds expire later and are in the table.</p>");
    }
    svg
}

/// Draws a line for each month, and one for today.
fn axis(svg: &mut String, now: OffsetDateTime, height: f64) {
    let mut month = now.date().replace_day(1).unwrap_or(now.date());
    let mut label_from = 0.0;
    while month < (now + SPAN).date() {
        if month >= (now - PAST).date() {
            let x = x_of(month, now);
            let _ = writeln!(svg, "<line x1=\"{x:.0}\" x2=\"{x:.0}\" y1=\"22\" y2=\"{height:.0}\"/>");
            if x >= label_from {
                let _ = writeln!(
                    svg,
                    "<text class=\"quiet\" x=\"{:.0}\" y=\"14\">{}-{:02}</text>",
                    x + 2.0,
                    month.year(),
                    u8::from(month.month())
                );
                label_from = x + 56.0;
            }
        }
        // The first of the next month.
        let later = month.saturating_add(Duration::days(31));
        month = later.replace_day(1).unwrap_or(later);
    }
    let x = x_of(now.date(), now);
    let _ = writeln!(svg, "<line class=\"now\" x1=\"{x:.0}\" x2=\"{x:.0}\" y1=\"22\" y2=\"{height:.0}\"/>");
}

fn mark(svg: &mut String, day: Date, count: usize, state: State, y: f64, now: OffsetDateTime) {
    let x = x_of(day, now);
    let radius = 4.0 + (count as f64).log10() * 2.0;
    let _ = write!(
        svg,
        "<circle class=\"{}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius:.1}\"><title>{count} on {day}: {}{}</title></circle>",
        class_of(state),
        if count == 1 { "" } else { "at worst " },
        state.as_str(),
    );
    // At the edge the position does not show the date, so the date is added as text.
    let label = match (day > (now + SPAN).date(), count) {
        (true, _) => day.to_string(),
        (false, 1) => String::new(),
        (false, count) => count.to_string(),
    };
    if !label.is_empty() {
        let _ = write!(svg, "<text class=\"quiet\" x=\"{:.1}\" y=\"{:.1}\">{label}</text>", x + radius + 3.0, y + 4.0);
    }
    svg.push('\n');
}

/// Returns the horizontal position of a day, within the drawing.
fn x_of(day: Date, now: OffsetDateTime) -> f64 {
    let from = (now - PAST).date();
    let share = (day - from).as_seconds_f64() / (PAST + SPAN).as_seconds_f64();
    LEFT + share.clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT)
}

/// Returns the end of a long name, which tells files apart.
fn shortened(name: &str) -> String {
    const LONGEST: usize = 30;
    let length = name.chars().count();
    if length <= LONGEST {
        name.to_owned()
    } else {
        format!("…{}", name.chars().skip(length - LONGEST).collect::<String>())
    }
}

/// Returns the class of a state in the page's style.
pub(super) fn class_of(state: State) -> &'static str {
    match state {
        State::Valid => "good",
        State::Due | State::Outdated | State::Expiring | State::Left => "soon",
        State::NotYetValid | State::Missing | State::Unreadable | State::Revoked | State::Expired => "bad",
    }
}
