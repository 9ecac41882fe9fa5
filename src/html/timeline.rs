//! A timeline of expiries as an inline SVG: a lane for each kind of credential, and a mark for each day on which some
//! expire.

use std::collections::BTreeMap;

use maud::{Markup, html};
use time::{Date, Duration, OffsetDateTime};

use super::names::scrolling;
use super::tone::Tone;
use crate::sanitize::sanitized;

/// The time after today that is drawn; later expiries are at the right edge.
const SPAN: Duration = Duration::days(400);
/// The time before today that is drawn; earlier expiries are at the left edge.
const PAST: Duration = Duration::days(30);
/// The maximum number of lanes: the kinds that expire first.
const LANES: usize = 24;
/// The longest name of a lane, in characters.
const LONGEST: usize = 34;

const WIDTH: f64 = 1000.0;
const LEFT: f64 = 236.0;
const RIGHT: f64 = 104.0;
const TOP: f64 = 34.0;
const LANE: f64 = 28.0;
/// The minimum distance to the next mark for a label.
const LABEL: f64 = 30.0;

/// Items of one kind that expire on the same day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expiry<'a> {
    /// The lane.
    pub(crate) lane: &'a str,
    /// When it expires.
    pub(crate) day: Date,
    /// The state.
    pub(crate) tone: Tone,
    /// The number of items.
    pub(crate) count: usize,
}

/// The expiries of each day, by lane.
#[derive(Debug, Default)]
pub(crate) struct Timeline<'a> {
    lanes: BTreeMap<&'a str, Days>,
}

/// The number of items that expire on each day, and the worst state among them.
type Days = BTreeMap<Date, (usize, Tone)>;

/// A mark: all expiries that are drawn at the same place.
struct Mark {
    x: f64,
    count: usize,
    tone: Tone,
    first: Date,
    last: Date,
}

impl<'a> Timeline<'a> {
    /// Adds items that expire.
    pub(crate) fn add(&mut self, Expiry { lane, day, tone, count }: Expiry<'a>) {
        let (known, worst) = self.lanes.entry(lane).or_default().entry(day).or_insert((0, tone));
        *known += count;
        *worst = (*worst).max(tone);
    }

    /// Returns the drawing and the same data as a list; nothing if nothing expires.
    pub(crate) fn drawing(&self, now: OffsetDateTime) -> Markup {
        let mut lanes: Vec<_> = self.lanes.iter().collect();
        lanes.sort_by_key(|(_, days)| days.keys().next().copied());
        let left_out = lanes.len().saturating_sub(LANES);
        lanes.truncate(LANES);
        if lanes.is_empty() {
            return html! {};
        }
        let height = TOP + LANE * lanes.len() as f64 + 8.0;
        let svg = html! {
            svg.timeline viewBox={ "0 0 " (WIDTH) " " (height) } role="img" aria-label={ "When credentials expire, seen from " (now.date()) } {
                @for (i, _) in lanes.iter().enumerate().skip(1).step_by(2) {
                    rect.lane x="0" y=(TOP + LANE * i as f64) width=(WIDTH) height=(LANE) {}
                }
                (axis(now, height))
                @for (i, (name, days)) in lanes.iter().enumerate() {
                    (lane(name, &marks(days, now), TOP + LANE * (i as f64 + 0.5)))
                }
            }
        };
        html! {
            (scrolling("Timeline", &svg))
            @if left_out > 0 { p.quiet { (left_out) " more kinds expire later." } }
            details { summary { "The timeline as a list" } (list(&lanes)) }
        }
    }
}

fn list(lanes: &[(&&str, &Days)]) -> Markup {
    /// The maximum number of days that are listed for a lane.
    const DAYS: usize = 60;
    html! {
        dl.days {
            @for (name, days) in lanes {
                dt { (sanitized(name)) }
                @for (day, (count, tone)) in days.iter().take(DAYS) {
                    dd.(tone.class()) { (day) @if *count > 1 { ": " (count) } }
                }
                @if days.len() > DAYS { dd { "and " (days.len() - DAYS) " later days" } }
            }
        }
    }
}

/// Merges the expiries that are drawn at the same place.
fn marks(days: &Days, now: OffsetDateTime) -> Vec<Mark> {
    let mut marks: Vec<Mark> = Vec::new();
    for (&day, &(count, tone)) in days {
        let x = x_of(day, now);
        match marks.last_mut().filter(|last| last.x == x) {
            Some(last) => {
                last.count += count;
                last.tone = last.tone.max(tone);
                last.last = day;
            }
            None => marks.push(Mark { x, count, tone, first: day, last: day }),
        }
    }
    marks
}

fn lane(name: &str, marks: &[Mark], y: f64) -> Markup {
    html! {
        text x="4" y=(y + 4.0) { (shortened(name)) }
        @for (i, mark) in marks.iter().enumerate() {
            @let radius = 4.5 + (mark.count as f64).log10() * 2.2;
            circle.(mark.tone.class()) cx=(px(mark.x)) cy=(px(y)) r=(px(radius)) {
                title { (mark.count) " on " (mark.first) @if mark.last > mark.first { " to " (mark.last) } }
            }
            @if let Some(label) = label(mark, marks.get(i + 1)) {
                text.quiet x=(px(mark.x + radius + 4.0)) y=(y + 4.0) { (label) }
            }
        }
    }
}

/// Returns the label of a mark. At an edge the place does not show the date, so the date is added.
fn label(mark: &Mark, next: Option<&Mark>) -> Option<String> {
    let is_at_edge = mark.x >= WIDTH - RIGHT || mark.x <= LEFT;
    match mark.count {
        _ if next.is_some_and(|next| next.x - mark.x < LABEL) => None,
        _ if is_at_edge && mark.last > mark.first => Some(format!("{}…", mark.first)),
        _ if is_at_edge => Some(mark.first.to_string()),
        1 => None,
        count => Some(format!("× {count}")),
    }
}

/// Draws a line for each month, and one for today.
fn axis(now: OffsetDateTime, height: f64) -> Markup {
    let mut months = Vec::new();
    let mut month = now.date().replace_day(1).unwrap_or(now.date());
    let mut label_from = x_of(now.date(), now) + 44.0;
    while month < (now + SPAN).date() {
        let x = x_of(month, now);
        if month >= (now - PAST).date() {
            let is_labelled = x >= label_from;
            label_from = if is_labelled { x + 62.0 } else { label_from };
            months.push((x, is_labelled.then(|| format!("{}-{:02}", month.year(), u8::from(month.month())))));
        }
        // The first of the next month.
        let later = month.saturating_add(Duration::days(31));
        month = later.replace_day(1).unwrap_or(later);
    }
    let today = x_of(now.date(), now);
    html! {
        @for (x, label) in months {
            line x1=(px(x)) x2=(px(x)) y1="24" y2=(height) {}
            @if let Some(label) = label { text.quiet x=(px(x + 2.0)) y="15" { (label) } }
        }
        line.now x1=(px(today)) x2=(px(today)) y1="20" y2=(height) {}
        text.today x=(px(today + 2.0)) y="15" { "today" }
    }
}

/// Returns the horizontal position of a day, within the drawing.
fn x_of(day: Date, now: OffsetDateTime) -> f64 {
    let from = (now - PAST).date();
    let share = (day - from).as_seconds_f64() / (PAST + SPAN).as_seconds_f64();
    LEFT + share.clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT)
}

fn px(value: f64) -> String {
    format!("{value:.1}")
}

/// Returns the end of a long name, which tells files apart.
fn shortened(name: &str) -> String {
    let name = sanitized(name);
    let length = name.chars().count();
    match length <= LONGEST {
        true => name,
        false => format!("…{}", name.chars().skip(length - LONGEST + 1).collect::<String>()),
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-23 12:00 UTC);

    fn drawn(days: &[i64]) -> String {
        let mut timeline = Timeline::default();
        for day in days {
            let day = (NOW + Duration::days(*day)).date();
            timeline.add(Expiry { lane: "kubelet-client", day, tone: Tone::Good, count: 1 });
        }
        timeline.drawing(NOW).into_string()
    }

    #[test]
    fn expiries_of_one_day_or_beyond_one_edge_share_a_mark() {
        assert_eq!(drawn(&[100; 500]).matches("<circle").count(), 1);
        assert_eq!(drawn(&[100, 101]).matches("<circle").count(), 2);
        assert_eq!(drawn(&[1_000, 2_000, 3_000]).matches("<circle").count(), 1);
        assert_eq!(drawn(&[-100, -1_000, 5]).matches("<circle").count(), 2);
        assert_eq!(drawn(&[]), "");
    }

    #[test]
    fn the_number_of_lanes_and_marks_is_limited() {
        let names: Vec<String> = (0..5_000).map(|i| format!("<b>file {i}")).collect();
        let mut timeline = Timeline::default();
        for (i, lane) in names.iter().enumerate() {
            let day = (NOW + Duration::days(i as i64 - 40)).date();
            timeline.add(Expiry { lane, day, tone: Tone::Bad, count: 7 });
        }
        let drawn = timeline.drawing(NOW).into_string();
        assert_eq!(drawn.matches("<circle").count(), LANES);
        assert!(drawn.len() < 40_000 && !drawn.contains("<b>"), "{}", drawn.len());
    }
}
