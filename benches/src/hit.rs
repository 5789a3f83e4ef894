//! CPU time per answer from the cache: rounds in turn, one table per window.

use std::fmt::Write as _;

use clap::Args;

use crate::cpu::{self, Cores};
use crate::load::{self, Outcome, Plan};
use crate::questions::Question;
use crate::servers::{self, Folder, Server};
use crate::upstream::{Others, Upstream};
use crate::{Failed, say};

/// How long the first answer of a server may take, in tries of half a second.
const TRIES: usize = 40;

/// How much is measured.
#[derive(Args)]
pub(crate) struct Extent {
    /// Rounds; in each all servers get the same queries, one server after another.
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// Queries of a round with 32 and 64 open; a tenth of it with one.
    #[arg(long, default_value_t = 200_000)]
    queries: u64,
    /// Different names.
    #[arg(long, default_value_t = 100)]
    names: u16,
}

/// Measures and prints the tables.
pub(crate) fn measure(extent: &Extent) -> Result<(), Failed> {
    let stage = Stage::set(extent.names)?;
    let windows = [(64, extent.queries), (32, extent.queries), (1, extent.queries / 10)];
    for (window, queries) in windows {
        let plan = Plan::new(queries, window);
        let rows = stage.rounds(extent.rounds, plan)?;
        say(&mut std::io::stdout(), &table(&rows, plan, extent));
    }
    Ok(())
}

/// A short run: every query is answered, and rightly.
pub(crate) fn smoke() -> Result<(), Failed> {
    let stage = Stage::set(50)?;
    for window in [32, 1] {
        let rows = stage.rounds(1, Plan::new(5000, window))?;
        for row in &rows {
            let (lost, wrong) = row.rounds.iter().fold((0, 0), |(lost, wrong), round| {
                (lost + round.outcome.lost, wrong + round.outcome.wrong)
            });
            if lost + wrong > 0 {
                return Err(Failed(format!("{}: {lost} queries lost, {wrong} answered wrongly", row.name)));
            }
        }
    }
    say(&mut std::io::stdout(), "benches: every query was answered, and rightly");
    Ok(())
}

/// Servers that have every answer.
struct Stage {
    servers: Vec<Server>,
    questions: Vec<Question>,
    upstream: Upstream,
    // Goes last: the servers' files are in it.
    folder: Folder,
}

impl Stage {
    fn set(names: u16) -> Result<Self, Failed> {
        let cores = Cores::choose()?;
        cpu::pin(cores.load)?;
        let questions = Question::several(names)?;
        let upstream = Upstream::start(&questions, Others::Unanswered)?;
        let folder = Folder::new()?;
        let servers = servers::start(&upstream, &folder, cores)?;
        let stage = Self { servers, questions, upstream, folder };
        for server in &stage.servers {
            fill(server, &stage.questions, &stage.folder)?;
        }
        Ok(stage)
    }

    /// One row per server.
    fn rounds(&self, rounds: usize, plan: Plan) -> Result<Vec<Row>, Failed> {
        let mut rows: Vec<Row> =
            self.servers.iter().map(|server| Row { name: server.name, rounds: Vec::new() }).collect();
        let asked = self.upstream.asked();
        for _ in 0..rounds {
            for (server, row) in self.servers.iter().zip(&mut rows) {
                let before = server.cpu_ns()?;
                let outcome = load::ask(server, &self.questions, plan)?;
                let cpu_ns = server.cpu_ns()?.saturating_sub(before);
                row.rounds.push(Round { outcome, cpu_ns });
            }
        }
        match self.upstream.asked() - asked {
            0 => Ok(rows),
            misses => Err(Failed(format!("{misses} queries were no hits: an upstream was asked"))),
        }
    }
}

/// Asks each name until it is answered.
pub(crate) fn fill(server: &Server, questions: &[Question], folder: &Folder) -> Result<(), Failed> {
    let queries = u64::try_from(questions.len()).unwrap_or(u64::MAX);
    for _ in 0..TRIES {
        let first = questions.get(..1).unwrap_or_default();
        if load::ask(server, first, Plan::new(1, 1))?.answered == 1 {
            let rest = load::ask(server, questions, Plan::new(queries, 1))?;
            return if rest.answered == queries { Ok(()) } else { Err(silence(server, folder)) };
        }
    }
    Err(silence(server, folder))
}

fn silence(server: &Server, folder: &Folder) -> Failed {
    Failed(format!("{} does not answer as it should; it said: {}", server.name, folder.log(server.name)))
}

struct Row {
    name: &'static str,
    rounds: Vec<Round>,
}

struct Round {
    outcome: Outcome,
    cpu_ns: u64,
}

impl Row {
    /// Microseconds per answer, ascending.
    fn costs(&self) -> Vec<f64> {
        sorted(self.rounds.iter().map(|round| micros(round.cpu_ns) / count(round.outcome.answered)))
    }

    /// Answers per second, ascending.
    fn rates(&self) -> Vec<f64> {
        sorted(
            self.rounds.iter().map(|round| count(round.outcome.answered) / round.outcome.took.as_secs_f64()),
        )
    }

    /// Queries without a right answer.
    fn unanswered(&self) -> u64 {
        self.rounds.iter().map(|round| round.outcome.lost + round.outcome.wrong).sum()
    }
}

/// The rows as text; the first is what the others are compared with.
fn table(rows: &[Row], plan: Plan, extent: &Extent) -> String {
    let mut text = format!(
        "{} open, {} queries a round, {} rounds, {} names\n{:<16}{:>12}{:>8}{:>8}{:>9}{:>13}{:>12}\n",
        plan.window,
        plan.queries,
        extent.rounds,
        extent.names,
        "",
        "CPU us each",
        "min",
        "max",
        "x floor",
        "answers/s",
        "unanswered",
    );
    let floor = rows.first().map_or(f64::NAN, |row| median(&row.costs()));
    for row in rows {
        let costs = row.costs();
        let (least, most) = (costs.first().copied(), costs.last().copied());
        // Writing to a String does not fail.
        writeln!(
            text,
            "{:<16}{:>12.2}{:>8.2}{:>8.2}{:>9.2}{:>13.0}{:>12}",
            row.name,
            median(&costs),
            least.unwrap_or(f64::NAN),
            most.unwrap_or(f64::NAN),
            median(&costs) / floor,
            median(&row.rates()),
            row.unanswered(),
        )
        .unwrap_or_default();
    }
    text
}

fn sorted(figures: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures
}

/// The middle of ascending figures, the upper of two; NaN when there are none.
fn median(figures: &[f64]) -> f64 {
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

fn count(answers: u64) -> f64 {
    u32::try_from(answers).map_or(f64::NAN, f64::from)
}

fn micros(nanoseconds: u64) -> f64 {
    std::time::Duration::from_nanos(nanoseconds).as_secs_f64() * 1e6
}
