//! Events as they happen, from this manager's own state: a change of the leader does not end the stream.
use std::time::Duration;

use axum::response::Response;
use minicloud_core::event::{Event, Subject};
use minicloud_core::id::Index;
use minicloud_core::time::Timestamp;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::error::ApiError;
use super::extract::Params;
use super::types::{ErrorBody, EventLine, EventQuery};
use super::{State, lines};
use crate::cluster::Cluster;
use crate::events::{Begin, Read, Reader};

#[utoipa::path(
    get,
    path = "/v1/events",
    tag = "cluster",
    summary = "What happens in the cluster, as it happens",
    params(EventQuery),
    responses((status = 200, body = EventLine, content_type = "application/x-ndjson", description = "One value on each line"), (status = "default", body = ErrorBody, description = "Refused or failed, and why"))
)]
pub async fn events(api: State, Params(query): Params<EventQuery>) -> Result<Response, ApiError> {
    let cluster = api.cluster()?;
    let filter = Filter::new(&query)?;
    let begin = match (query.from_index, query.since_ms) {
        (Some(index), _) => Begin::Index(Index(index)),
        (None, Some(since)) => Begin::Time(Timestamp(since)),
        (None, None) => Begin::Now,
    };
    let reader = cluster.events().reader(begin);
    let until = query.until_ms.map(|until| Timestamp(until).since(api.clock.now()));
    let ending = api.ending.clone();
    Ok(lines::response(move |told| tell(cluster, reader, filter, until, told, ending)))
}

/// Tells until the client leaves, this node ends or is a manager no longer, or the time is over.
async fn tell(
    cluster: Cluster,
    mut reader: Reader,
    filter: Filter,
    until: Option<Duration>,
    told: mpsc::Sender<bytes::Bytes>,
    ending: CancellationToken,
) {
    let over = async {
        match until {
            Some(left) => sleep(left).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(over);
    loop {
        let read = tokio::select! {
            // What is there is told before the time is looked at.
            biased;
            read = reader.next() => read,
            () = told.closed() => return,
            () = ending.cancelled() => return,
            () = cluster.ended() => return,
            () = &mut over => return,
        };
        let line = match read {
            Some(Read::Event(event)) if !filter.wants(&event) => continue,
            Some(Read::Event(event)) => lines::line(&*event),
            Some(Read::Missed(missed)) => lines::line(&EventLine::Missed { missed }),
            None => return,
        };
        tokio::select! {
            sent = told.send(line) => if sent.is_err() { return },
            () = ending.cancelled() => return,
            () = cluster.ended() => return,
        }
    }
}

/// Which events are wanted. Empty: all.
#[derive(Debug)]
struct Filter {
    since: Timestamp,
    until: Timestamp,
    types: Vec<Subject>,
    actions: Vec<String>,
    services: Vec<String>,
    nodes: Vec<String>,
}

impl Filter {
    fn new(query: &EventQuery) -> Result<Filter, ApiError> {
        let subject = |name: &String| {
            let known = Subject::ALL.into_iter().find(|subject| subject.to_string() == *name);
            let all = || Subject::ALL.map(|subject| subject.to_string()).join(", ");
            known.ok_or_else(|| ApiError::invalid(format!("type={name}: there is no such type of event; use one of {}", all())))
        };
        Ok(Filter {
            since: Timestamp(query.since_ms.unwrap_or(0)),
            until: Timestamp(query.until_ms.unwrap_or(u64::MAX)),
            types: words(&query.types).iter().map(subject).collect::<Result<_, _>>()?,
            actions: words(&query.actions),
            services: words(&query.services),
            nodes: words(&query.nodes),
        })
    }

    fn wants(&self, event: &Event) -> bool {
        let is_one =
            |wanted: &[String], name: Option<&str>| wanted.is_empty() || name.is_some_and(|name| wanted.iter().any(|one| one == name));
        (self.since..=self.until).contains(&event.at_ms)
            && (self.types.is_empty() || self.types.contains(&event.subject))
            && is_one(&self.actions, Some(&event.action))
            && is_one(&self.services, event.service.as_deref())
            && is_one(&self.nodes, event.node.as_deref())
    }
}

fn words(text: &str) -> Vec<String> {
    text.split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect()
}
