//! The printed tables.

use std::io::Write;

use crate::cost::Cost;

/// More than this, for ten times the nodes, is not linear growth.
const LINEAR: f64 = 11.5;

/// The fewest processor seconds that a ratio is taken of.
const LONG_ENOUGH: f64 = 0.2;

/// One thing measured, in several rounds.
pub(crate) struct Row {
    what: String,
    floor: String,
    /// The ratio that it should not exceed, if there is one.
    bound: Option<f64>,
    rounds: Vec<Round>,
}

struct Round {
    floors: Vec<f64>,
    ours: f64,
    /// The processor seconds of all floors, and of ours.
    processor: (f64, f64),
    peak: Option<u64>,
}

impl Row {
    /// Nothing measured yet. `floor` names the baseline of ours, its parts joined by ` + `.
    pub(crate) fn new(what: String, floor: &str, bound: Option<f64>) -> Self {
        Self { what, floor: floor.to_owned(), bound, rounds: Vec::new() }
    }

    /// Returns whether anything was measured.
    pub(crate) fn is_measured(&self) -> bool {
        !self.rounds.is_empty()
    }

    /// One round: the floors' times, ours, and our peak memory in bytes.
    pub(crate) fn add(&mut self, floors: &[Cost], ours: Cost, peak: Option<u64>) {
        let all: Cost = floors.iter().copied().sum();
        self.rounds.push(Round {
            floors: floors.iter().map(|floor| floor.elapsed.as_secs_f64()).collect(),
            ours: ours.elapsed.as_secs_f64(),
            processor: (all.processor.as_secs_f64(), ours.processor.as_secs_f64()),
            peak,
        });
    }

    fn ours(&self) -> f64 {
        median(self.rounds.iter().map(|round| round.ours))
    }

    fn floor(&self) -> f64 {
        median(self.rounds.iter().map(Round::floor))
    }

    /// Floor and command of one round met the same moment of the machine: the ratio is taken there.
    fn ratio(&self) -> f64 {
        median(self.rounds.iter().map(|round| round.ours / round.floor()))
    }

    /// The same of the processor seconds; `None` if these are too few for the kernel's ticks.
    fn processor_ratio(&self) -> Option<f64> {
        let measurable = self.rounds.iter().all(|round| round.processor.0 >= LONG_ENOUGH);
        measurable.then(|| median(self.rounds.iter().map(|round| round.processor.1 / round.processor.0)))
    }

    fn peak(&self) -> Option<f64> {
        self.rounds.iter().filter_map(|round| round.peak).max().map(|bytes| bytes as f64 / f64::from(1 << 20))
    }

    fn parts(&self) -> String {
        let count = self.rounds.first().map_or(0, |round| round.floors.len());
        let part = |i: usize| format!("{:.3}", median(self.rounds.iter().map(|round| round.floors[i])));
        (0..count).map(part).collect::<Vec<_>>().join(" + ")
    }
}

impl Round {
    fn floor(&self) -> f64 {
        self.floors.iter().sum()
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

/// All rows.
pub(crate) struct Table {
    sizes: Vec<(usize, Vec<Row>)>,
    cold: Vec<Row>,
    notes: Vec<String>,
}

fn verdict(held: Option<bool>) -> &'static str {
    match held {
        Some(true) => "held",
        Some(false) => "MISSED",
        None => "",
    }
}

impl Table {
    pub(crate) fn new() -> Self {
        Self { sizes: Vec::new(), cold: Vec::new(), notes: Vec::new() }
    }

    /// The notes below the tables.
    pub(crate) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// The rows of one size, in the same order as those of every other.
    pub(crate) fn add(&mut self, nodes: usize, rows: Vec<Row>) {
        self.sizes.push((nodes, rows));
    }

    /// A row whose cost over the floor counts, not its ratio.
    pub(crate) fn add_cold(&mut self, row: Row) {
        self.cold.push(row);
    }

    pub(crate) fn print(&self) {
        // A closed stream is ignored.
        let _ = self.write(&mut std::io::stdout().lock());
    }

    fn write(&self, out: &mut impl Write) -> std::io::Result<()> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        writeln!(out, "\nMedians in seconds, on {cores} cores; peak memory of the whole process\n")?;
        writeln!(
            out,
            "| work | floor | ours | ratio | at most | | ratio of processor times | peak MiB | floor's parts |"
        )?;
        writeln!(out, "|---|---:|---:|---:|---:|---|---:|---:|---|")?;
        for row in self.sizes.iter().flat_map(|(_, rows)| rows) {
            let peak = row.peak().map(|mib| format!("{mib:.0}")).unwrap_or_default();
            let ratio = row.ratio();
            let processor = row.processor_ratio().map(|ratio| format!("{ratio:.2}")).unwrap_or_default();
            let bound = row.bound.map(|bound| bound.to_string()).unwrap_or_default();
            writeln!(
                out,
                "| {} | {:.3} | {:.3} | {ratio:.2} | {bound} | {} | {processor} | {peak} | {} = {} |",
                row.what,
                row.floor(),
                row.ours(),
                verdict(row.bound.map(|bound| ratio <= bound)),
                row.floor,
                row.parts(),
            )?;
        }
        writeln!(out, "\n| growth, for ten times the nodes (at most {LINEAR}) | floor | ours | |")?;
        writeln!(out, "|---|---:|---:|---|")?;
        for pair in self.sizes.windows(2) {
            for (small, large) in pair[0].1.iter().zip(&pair[1].1) {
                let (floor, ours) = (large.floor() / small.floor(), large.ours() / small.ours());
                let linear = verdict(Some(ours <= LINEAR));
                writeln!(out, "| {} to {} | {floor:.1} | {ours:.1} | {linear} |", small.what, pair[1].0)?;
            }
        }
        if self.cold.is_empty() {
            return self.write_notes(out);
        }
        writeln!(out, "\n| cold | `true`, ms | ours, ms | more, ms | at most | | peak MiB |")?;
        writeln!(out, "|---|---:|---:|---:|---:|---|---:|")?;
        for row in &self.cold {
            let (floor, ours) = (row.floor() * 1e3, row.ours() * 1e3);
            let peak = row.peak().unwrap_or_default();
            let bound = row.bound.map(|bound| bound.to_string()).unwrap_or_default();
            let more = ours - floor;
            let held = verdict(row.bound.map(|bound| more <= bound));
            writeln!(out, "| {} | {floor:.1} | {ours:.1} | {more:.1} | {bound} | {held} | {peak:.0} |", row.what)?;
        }
        self.write_notes(out)
    }

    fn write_notes(&self, out: &mut impl Write) -> std::io::Result<()> {
        self.notes.iter().try_for_each(|note| writeln!(out, "\n{note}"))
    }
}
