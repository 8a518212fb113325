//! `monitor`: events as they happen.

use std::time::Duration;

use acrypto_netlink::message::{EventRecord, Filter};
use acrypto_netlink::{Client, Feed};
use serde_json::{Value, json};

use crate::cli::MonitorArgs;
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output::{self, Format};
use crate::{record, units};

/// Prints events until enough were seen, the time is over, or the server is gone.
pub async fn run(context: &Context, client: &Client, arguments: &MonitorArgs) -> Result<Exit, Failure> {
    let deadline = arguments.for_duration.unwrap_or(Duration::MAX);
    match tokio::time::timeout(deadline, follow(context, client, arguments)).await {
        Ok(ended) => ended,
        Err(_) => Ok(Exit::Done),
    }
}

async fn follow(context: &Context, client: &Client, arguments: &MonitorArgs) -> Result<Exit, Failure> {
    let filter = Filter { kinds: arguments.kinds.clone() };
    let mut subscription = client.subscribe(filter, arguments.since).await?;
    context.printer.note("watching; ^C ends");
    let mut left = arguments.count.unwrap_or(u64::MAX);
    while left > 0 {
        match subscription.next().await? {
            Feed::Event(event) => {
                print(context, client, &record::event(&event), &line(&event))?;
                left -= 1;
            }
            Feed::Lost(count) => {
                print(context, client, &json!({ "lost_events": count }), &format!("{count} events lost"))?;
            }
        }
    }
    Ok(Exit::Done)
}

fn print(context: &Context, client: &Client, record: &Value, line: &str) -> Result<(), Failure> {
    match context.printer.format {
        Format::Json => context.printer.json(Some(client.epoch()), record),
        Format::Plain => {
            let cells: Vec<String> =
                record.as_object().into_iter().flatten().map(|(_, v)| output::raw(v)).collect();
            output::write_line(&cells.join("\t"))
        }
        Format::Table => output::write_line(&crate::exit::one_line(line)),
    }
}

/// `2026-11-23T10:22:05.123Z WARN  device accel1: up -> degraded: p99 8.8ms (uid 1000)`
fn line(event: &EventRecord) -> String {
    let time = units::utc(event.time_ns);
    let severity = event.severity.name().to_uppercase();
    let mut text = format!("{time} {severity:5} {} {}: ", event.object, event.name);
    if event.from.is_empty() {
        text.push_str(&event.to);
    } else {
        text.push_str(&format!("{} -> {}", event.from, event.to));
    }
    if !event.reason.is_empty() {
        text.push_str(&format!(": {}", event.reason));
    }
    text.push_str(&format!(" (uid {})", event.uid));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use acrypto_netlink::message::Severity;

    #[test]
    fn an_event_is_one_line() {
        let event = EventRecord {
            time_ns: 1_795_429_325_123_000_000,
            severity: Severity::Warn,
            object: "device".to_owned(),
            name: "accel1".to_owned(),
            from: "up".to_owned(),
            to: "degraded".to_owned(),
            reason: "2 errors in 10s".to_owned(),
            uid: 1000,
            ..EventRecord::default()
        };
        let expected =
            "2026-11-23T10:22:05.123Z WARN  device accel1: up -> degraded: 2 errors in 10s (uid 1000)";
        assert_eq!(line(&event), expected);
    }
}
