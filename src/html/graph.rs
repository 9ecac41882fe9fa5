//! A graph of CAs and certificates as an inline SVG: each issuer is drawn at the left of the certificates that it
//! signed.

use maud::{Markup, html};

use super::names::{named, scrolling};
use super::tone::Tone;
use crate::sanitize::sanitized;

/// The maximum number of boxes that are drawn; the list below the drawing has all.
const MAX_DRAWN: usize = 40;
/// The maximum number of names that a box shows.
const NAMED: usize = 3;
/// The last column. All boxes deeper in a chain are drawn in it.
const MAX_DEPTH: usize = 4;

const WIDTH: f64 = 1000.0;
const GAP: f64 = 72.0;
const WIDEST: f64 = 380.0;
const HEIGHT: f64 = 48.0;
const ROW: f64 = 60.0;
const TOP: f64 = 4.0;
/// The approximate width of a character, by which text is shortened to fit into a box.
const CHARACTER: f64 = 7.4;

/// A box: a CA, or several similar certificates.
#[derive(Debug, Clone, Default)]
pub(crate) struct GraphNode {
    /// The subject or the kind.
    pub(crate) title: String,
    /// When it expires.
    pub(crate) detail: String,
    /// The state.
    pub(crate) tone: Tone,
    /// The index of its issuer, which must be added first; `None` if its issuer is not in the graph.
    pub(crate) parent: Option<usize>,
    /// Whether it is no CA.
    pub(crate) is_leaf: bool,
    /// The holders of the certificates.
    pub(crate) names: Vec<String>,
    /// The kind of the names, such as `nodes`.
    pub(crate) what: &'static str,
}

/// The CAs and certificates, with their issuers.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    nodes: Vec<GraphNode>,
}

/// Where a box is drawn: its column, and the vertical position of its middle.
#[derive(Clone, Copy, Default)]
struct Place {
    column: usize,
    y: f64,
}

impl Graph {
    /// Adds a box and returns its index. An issuer that was not added before is ignored.
    pub(crate) fn add(&mut self, node: GraphNode) -> usize {
        let at = self.nodes.len();
        self.nodes.push(GraphNode { parent: node.parent.filter(|parent| *parent < at), ..node });
        at
    }

    /// Returns the drawing and the same data as a list; nothing if the graph is empty.
    pub(crate) fn drawing(&self) -> Markup {
        if self.nodes.is_empty() {
            return html! {};
        }
        let drawn = &self.nodes[..self.nodes.len().min(MAX_DRAWN)];
        let (places, height) = places(drawn);
        let columns = places.iter().map(|place| place.column).max().unwrap_or(0) + 1;
        let width = ((WIDTH - GAP * (columns - 1) as f64 - 4.0) / columns as f64).min(WIDEST);
        let left = |place: Place| 2.0 + place.column as f64 * (width + GAP);
        let svg = html! {
            svg.graph viewBox={ "0 0 " (WIDTH) " " (px(height)) } role="img" aria-label="Which CA signed which certificates; the list below says the same" {
                @for (node, place) in drawn.iter().zip(&places) {
                    @if let Some(parent) = node.parent.and_then(|parent| places.get(parent)) {
                        path.(node.tone.class()) d=(edge((left(*parent) + width, parent.y), (left(*place), place.y))) {}
                    }
                }
                @for (node, place) in drawn.iter().zip(&places) { (boxed(node, left(*place), place.y, width)) }
            }
        };
        html! {
            (scrolling("Trust graph", &svg))
            @if self.nodes.len() > MAX_DRAWN { p.quiet { (self.nodes.len() - MAX_DRAWN) " more are in the list." } }
            details open[self.nodes.len() <= 3] { summary { "The graph as a list" } (self.list(None)) }
        }
    }

    /// Returns the list of the boxes below an issuer, or of those without one.
    fn list(&self, parent: Option<usize>) -> Markup {
        let children = || self.nodes.iter().enumerate().filter(|(_, node)| node.parent == parent);
        html! {
            @if children().next().is_some() {
                ul.tree {
                    @for (at, node) in children() {
                        li {
                            strong { (sanitized(&node.title)) }
                            span.(node.tone.class()) { " " (sanitized(&node.detail)) }
                            @if !node.names.is_empty() {
                                @let names: Vec<&str> = node.names.iter().map(String::as_str).collect();
                                div { (named(&names, node.what)) }
                            }
                            (self.list(Some(at)))
                        }
                    }
                }
            }
        }
    }
}

/// Returns the place of each box, and the total height. An issuer is in the middle of the boxes that it signed.
fn places(nodes: &[GraphNode]) -> (Vec<Place>, f64) {
    let mut places = vec![Place::default(); nodes.len()];
    for (at, node) in nodes.iter().enumerate() {
        places[at].column = node.parent.map_or(0, |parent| (places[parent].column + 1).min(MAX_DEPTH));
    }
    let last = places.iter().map(|place| place.column).max().unwrap_or(0);
    let mut rows = 0;
    for (at, node) in nodes.iter().enumerate() {
        if node.parent.is_none() {
            place(nodes, at, &mut places, &mut rows, last);
        }
    }
    (places, TOP + rows as f64 * ROW - (ROW - HEIGHT) + TOP)
}

/// Places a box after everything that it signed.
fn place(nodes: &[GraphNode], at: usize, places: &mut [Place], rows: &mut usize, last: usize) {
    let children: Vec<usize> = (at + 1..nodes.len()).filter(|child| nodes[*child].parent == Some(at)).collect();
    for child in &children {
        place(nodes, *child, places, rows, last);
    }
    if nodes[at].is_leaf && nodes[at].parent.is_some() {
        places[at].column = last;
    }
    places[at].y = match (children.first(), children.last()) {
        (Some(first), Some(end)) => f64::midpoint(places[*first].y, places[*end].y),
        _ => {
            *rows += 1;
            TOP + (*rows as f64 - 1.0) * ROW + HEIGHT / 2.0
        }
    };
}

fn edge((x1, y1): (f64, f64), (x2, y2): (f64, f64)) -> String {
    let bend = (x2 - x1) / 2.0;
    format!("M{x1:.1} {y1:.1}C{:.1} {y1:.1} {:.1} {y2:.1} {x2:.1} {y2:.1}", x1 + bend, x2 - bend)
}

fn boxed(node: &GraphNode, x: f64, y: f64, width: f64) -> Markup {
    let top = y - HEIGHT / 2.0;
    let fits = ((width - 44.0) / CHARACTER) as usize;
    let detail = match node.names.len() {
        1..=NAMED => format!("{} · {}", node.detail, node.names.join(", ")),
        _ => node.detail.clone(),
    };
    html! {
        g.box.(node.tone.class()) {
            title { (sanitized(&node.title)) ", " (sanitized(&node.detail)) }
            rect x=(px(x)) y=(px(top)) width=(px(width)) height=(HEIGHT) rx="6" {}
            rect.edge x=(px(x)) y=(px(top)) width="5" height=(HEIGHT) {}
            text.title x=(px(x + 16.0)) y=(px(top + 20.0)) { (shortened(&node.title, fits)) }
            text.quiet x=(px(x + 16.0)) y=(px(top + 37.0)) { (shortened(&detail, fits)) }
            text.sign x=(px(x + width - 20.0)) y=(px(top + 21.0)) { (node.tone.sign()) }
        }
    }
}

fn px(value: f64) -> String {
    format!("{value:.1}")
}

/// Returns the beginning of a long text.
fn shortened(text: &str, longest: usize) -> String {
    let text = sanitized(text);
    match text.chars().count() <= longest {
        true => text,
        false => text.chars().take(longest.saturating_sub(1)).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(title: &str, parent: Option<usize>) -> GraphNode {
        GraphNode { title: title.to_owned(), parent, is_leaf: parent.is_some(), ..GraphNode::default() }
    }

    #[test]
    fn an_issuer_is_in_the_middle_of_its_boxes_and_leaves_share_a_column() {
        let mut graph = Graph::default();
        let root = graph.add(node("root", None));
        let middle = graph.add(GraphNode { is_leaf: false, ..node("intermediate", Some(root)) });
        graph.add(node("a", Some(middle)));
        graph.add(node("b", Some(middle)));
        graph.add(node("c", Some(root)));
        let (places, height) = places(&graph.nodes);
        assert_eq!(places.iter().map(|place| place.column).collect::<Vec<_>>(), [0, 1, 2, 2, 2]);
        assert_eq!(places[1].y, f64::midpoint(places[2].y, places[3].y));
        assert_eq!(height, 2.0 * TOP + 2.0 * ROW + HEIGHT);
        let drawn = graph.drawing().into_string();
        assert_eq!((drawn.matches("<path").count(), drawn.matches("<rect").count()), (4, 10));
    }

    #[test]
    fn the_drawing_is_limited_and_the_list_is_not() {
        let mut graph = Graph::default();
        for i in 0..200 {
            graph.add(node(&format!("<i>{i}</i>"), None));
        }
        // An issuer that comes later is ignored, so that there are no loops.
        graph.add(node("early", Some(900)));
        let drawn = graph.drawing().into_string();
        assert_eq!(drawn.matches("<g ").count(), MAX_DRAWN);
        assert_eq!(drawn.matches("<li>").count(), 201);
        assert!(!drawn.contains("<i>"));
    }
}
