//! Logs of a service: of all its tasks on all nodes, in order of time; followers get the lines of new tasks too.
mod ending;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use axum::extract::Path;
use axum::response::Response;
use minicloud_core::id::{NodeId, TaskId};
use minicloud_core::state::{ClusterState, Task};
use minicloud_core::task::LogStream;
use tokio::sync::mpsc;

use super::error::ApiError;
use super::extract::Params;
use super::service;
use super::task::node_name;
use super::types::{ErrorBody, LogLine, LogQuery};
use super::{Context, State, lines};
use crate::cluster::Cluster;
use crate::env::Env;
use crate::logs::{self, LogEvent, LogSource};

/// Readings of new tasks on their way to the merged log.
const NEW_SOURCES_WAITING_MAX: usize = 64;

/// Whose logs.
#[derive(Clone, Copy)]
enum Subject {
    Service(minicloud_core::id::ServiceId),
    Task(TaskId),
}

impl Subject {
    /// No task of it is to follow those that there were.
    fn is_over(self, state: &ClusterState) -> bool {
        match self {
            Subject::Service(service) => service::progress::is_over(state, service),
            Subject::Task(task) => state.tasks.get(&task).is_none_or(|task| task.node.is_some() || !task.is_live()),
        }
    }

    fn tasks(self, state: &ClusterState) -> Vec<Arc<Task>> {
        match self {
            Subject::Service(service) => state.tasks_of_service(service).cloned().collect(),
            Subject::Task(task) => state.tasks.get(&task).cloned().into_iter().collect(),
        }
    }
}

#[utoipa::path(
    get,
    path = "/v1/services/{service}/logs",
    tag = "services",
    summary = "Lines of all tasks of a service, or of one task",
    params(("service" = String, Path, description = "Name or id of a service, or a task"), LogQuery),
    responses((status = 200, body = LogLine, content_type = "application/x-ndjson", description = "One value on each line"), (status = "default", body = ErrorBody, description = "Refused or failed, and why"))
)]
pub async fn of_service(api: State, Path(name): Path<String>, Params(query): Params<LogQuery>) -> Result<Response, ApiError> {
    let cluster = api.cluster()?;
    let state = cluster.read().await?;
    let subject = find(&state, &name)?;
    let mut known = HashSet::new();
    let sources = new_sources(&api.0, &cluster, &state, subject, query, &mut known);
    let (more, added) = mpsc::channel(NEW_SOURCES_WAITING_MAX);
    let merged = logs::merge(sources, query.follow.then_some(added));
    if query.follow {
        tokio::spawn(add_new_tasks(api.0.clone(), cluster.clone(), subject, query, known, more));
    }
    let ending = api.ending.clone();
    Ok(lines::response(move |told| tell(merged, Names { cluster, known: HashMap::new() }, told, ending)))
}

fn find(state: &ClusterState, name: &str) -> Result<Subject, ApiError> {
    match service::find_any(state, name) {
        Ok(service) => Ok(Subject::Service(service.id)),
        Err(error) => state.find_task(name).map(|task| Subject::Task(task.id)).map_err(|_| error),
    }
}

/// Readings of the tasks that are not known yet, one for each node. A task without a node has written nothing.
fn new_sources(
    api: &Arc<Context>,
    cluster: &Cluster,
    state: &ClusterState,
    subject: Subject,
    query: LogQuery,
    known: &mut HashSet<TaskId>,
) -> Vec<LogSource> {
    let mut by_node: BTreeMap<NodeId, Vec<TaskId>> = BTreeMap::new();
    for task in subject.tasks(state) {
        if let Some(node) = task.node
            && known.insert(task.id)
        {
            by_node.entry(node).or_default().push(task.id);
        }
    }
    if query.follow && query.until_end {
        let each = by_node.into_iter().flat_map(|(node, tasks)| tasks.into_iter().map(move |task| (node, task)));
        return each.map(|(node, task)| ending::read(Arc::clone(api), cluster.clone(), node, task, query)).collect();
    }
    let open = |(node, tasks): (NodeId, Vec<TaskId>)| match node == api.own_id() {
        true => tasks.into_iter().map(|task| logs::read(&api.logs, task, query)).collect(),
        false => {
            let hostname = node_name(state, Some(node)).unwrap_or_default();
            vec![logs::read_remote(&api.peers, node, hostname, tasks, query)]
        }
    };
    by_node.into_iter().flat_map(open).collect()
}

/// Adds tasks as they get their nodes, until nobody reads.
async fn add_new_tasks(
    api: Arc<Context>,
    cluster: Cluster,
    subject: Subject,
    query: LogQuery,
    mut known: HashSet<TaskId>,
    more: mpsc::Sender<LogSource>,
) {
    // All of a new task's lines are new.
    let query = LogQuery { tail: None, ..query };
    let mut changes = cluster.changes();
    loop {
        changes.borrow_and_update();
        let state = cluster.state();
        for source in new_sources(&api, &cluster, &state, subject, query, &mut known) {
            if more.send(source).await.is_err() {
                return;
            }
        }
        if query.until_end && subject.is_over(&state) {
            return;
        }
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            () = more.closed() => return,
            () = cluster.ended() => return,
        }
    }
}

async fn tell(mut merged: LogSource, mut names: Names, told: mpsc::Sender<bytes::Bytes>, ending: tokio_util::sync::CancellationToken) {
    let cluster = names.cluster.clone();
    loop {
        let event = tokio::select! {
            event = merged.recv() => event,
            () = told.closed() => return,
            () = ending.cancelled() => return,
            () = cluster.ended() => return,
        };
        let line = match event {
            Some(LogEvent::Line(task, record)) => {
                let (name, node) = names.of(task);
                LogLine { task_id: task, task: name, node, at_ms: record.at_ms, stream: record.stream, text: record.text }
            }
            Some(LogEvent::Problem(problem)) => names.problem(problem),
            Some(LogEvent::CaughtUp) => continue,
            None => return,
        };
        if told.send(lines::line(&line)).await.is_err() {
            return;
        }
    }
}

/// How tasks and their nodes are called. A task keeps its name when it is forgotten meanwhile.
struct Names {
    cluster: Cluster,
    known: HashMap<TaskId, (String, String)>,
}

impl Names {
    fn of(&mut self, task: TaskId) -> (String, String) {
        let look = || {
            let state = self.cluster.state();
            let row = state.tasks.get(&task);
            let name = row.map_or_else(|| task.to_string(), |row| state.task_name(row));
            (name, row.and_then(|row| node_name(&state, row.node)).unwrap_or_default())
        };
        self.known.entry(task).or_insert_with(look).clone()
    }

    /// What is missing is said in its place.
    fn problem(&self, text: String) -> LogLine {
        let at_ms = Env::real().now().0;
        LogLine { task_id: TaskId(0), task: "minicloud".to_owned(), node: String::new(), at_ms, stream: LogStream::Stderr, text }
    }
}
