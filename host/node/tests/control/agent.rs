//! One agent under scripted views: orders of start and stop, volumes, sharing, restart.
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use minicloud_core::id::{FileId, Index, NodeId, ServiceId, TaskId, VolumeId};
use minicloud_core::spec::{Digest, FileReference, Image, Mount, MountKind, TaskTemplate};
use minicloud_core::state::Slot;
use minicloud_core::task::{Exit, TaskState};
use minicloud_core::view::{AssignedTask, NodeView};
use minicloud_net::{NoUplink, Switch};
use minicloud_node::agent::{Agent, AgentOptions, RunningTasks};
use minicloud_node::env::Clock;
use minicloud_node::session::SessionHandle;
use minicloud_node::testing::{Behaviour, FakeExecutor, FakeFiles, FakeImages, NoLogs, TestClock};
use minicloud_node::volumes::{LocalVolumes, Volumes};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// An agent without a session: the test is the leader.
struct Bench {
    session: SessionHandle,
    executor: Arc<FakeExecutor>,
    images: Arc<FakeImages>,
    files: Arc<FakeFiles>,
    volumes: Arc<LocalVolumes>,
    running: RunningTasks,
    clock: Arc<dyn Clock>,
    shutdown: CancellationToken,
    agent: JoinHandle<()>,
    tasks: BTreeMap<TaskId, Arc<AssignedTask>>,
    index: u64,
    _folder: TempDir,
}

fn task(id: u64) -> AssignedTask {
    AssignedTask {
        id: TaskId(id),
        service: ServiceId(1),
        service_name: "web".into(),
        slot: Slot::Replica(id as u32),
        hostname: format!("web-{id}"),
        template: Arc::new(TaskTemplate::new(Image { name: "web".into(), digest: Digest([0; 32]) })),
        desired: TaskState::Running,
        start_at_ms: None,
        addresses: BTreeMap::new(),
        volumes: BTreeMap::new(),
        host_ports: Vec::new(),
        version: Index(0),
    }
}

impl Bench {
    fn new() -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let (session, executor, clock) = (SessionHandle::detached(), FakeExecutor::new(), TestClock::new());
        let files = Arc::new(FakeFiles::default());
        let (images, volumes) = (Arc::new(FakeImages::default()), Arc::new(LocalVolumes::new(folder.path().into())));
        let (agent, running) = Agent::new(AgentOptions {
            node: NodeId(1),
            clock: Arc::clone(&clock),
            session: session.clone(),
            executor: executor.clone(),
            images: images.clone(),
            files: files.clone(),
            logs: Arc::new(NoLogs),
            volumes: volumes.clone(),
            switch: Switch::new(NodeId(1), Arc::new(NoUplink)),
            on_view: Box::new(|_| {}),
        });
        let shutdown = CancellationToken::new();
        let agent = tokio::spawn(agent.run(shutdown.clone()));
        let (tasks, index) = (BTreeMap::new(), 0);
        Bench { session, executor, images, files, volumes, running, clock, shutdown, agent, tasks, index, _folder: folder }
    }

    fn put(&mut self, mut task: AssignedTask) -> Index {
        task.version = Index(self.index + 1);
        self.tasks.insert(task.id, Arc::new(task));
        self.show()
    }

    fn desire(&mut self, id: u64, desired: TaskState) -> Index {
        let task = AssignedTask::clone(&self.tasks[&TaskId(id)]);
        self.put(AssignedTask { desired, ..task })
    }

    fn drop_task(&mut self, id: u64) -> Index {
        self.tasks.remove(&TaskId(id));
        self.show()
    }

    fn show(&mut self) -> Index {
        self.index += 1;
        let tasks = self.tasks.iter().map(|(id, task)| (*id, Arc::clone(task))).collect();
        self.session.show(NodeView { index: Index(self.index), tasks, ..NodeView::default() });
        Index(self.index)
    }

    fn state(&self, id: u64) -> Option<TaskState> {
        self.session.last_word(TaskId(id)).map(|status| status.state)
    }

    fn message(&self, id: u64) -> String {
        self.session.last_word(TaskId(id)).map(|status| status.message).unwrap_or_default()
    }

    /// Waits for a state for a minute of tokio's clock.
    async fn reaches(&self, id: u64, state: TaskState) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.state(id) != Some(state) {
            assert!(Instant::now() < deadline, "task {id} is {:?}, not {state}", self.session.last_word(TaskId(id)));
            sleep(Duration::from_millis(1)).await;
        }
    }

    fn asked(&self) -> Vec<String> {
        self.executor.asked()
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_until_all_nodes_dropped_the_task_from_their_routes() {
    let mut bench = Bench::new();
    bench.put(task(1));
    bench.reaches(1, TaskState::Running).await;
    let stopped_at = bench.desire(1, TaskState::Shutdown);
    sleep(Duration::from_millis(300)).await;
    bench.session.raise_acknowledged(Index(stopped_at.0 - 1));
    sleep(Duration::from_millis(300)).await;
    assert_eq!(bench.asked(), ["prepare", "start web.1"]);
    bench.session.raise_acknowledged(stopped_at);
    bench.reaches(1, TaskState::Shutdown).await;
    assert_eq!(bench.asked(), ["prepare", "start web.1", "stop web.1"]);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_never_acknowledges_delays_a_stop_by_a_second_at_most() {
    let mut bench = Bench::new();
    bench.put(task(1));
    bench.reaches(1, TaskState::Running).await;
    let began = Instant::now();
    bench.desire(1, TaskState::Remove);
    bench.reaches(1, TaskState::Shutdown).await;
    assert!((1_000..1_100).contains(&(began.elapsed().as_millis() as u64)), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_task_drains_for_its_grace_period_and_no_longer() {
    for (drain, deaf, expected) in [(2, false, 2), (60, false, 10), (0, true, 11)] {
        let mut bench = Bench::new();
        bench.executor.script("web", Behaviour { drain: Duration::from_secs(drain), deaf, ..Behaviour::default() });
        bench.put(task(1));
        bench.reaches(1, TaskState::Running).await;
        bench.session.raise_acknowledged(Index(9));
        let began = Instant::now();
        bench.desire(1, TaskState::Shutdown);
        bench.reaches(1, TaskState::Shutdown).await;
        assert_eq!(began.elapsed().as_millis() / 100, expected * 10, "drain {drain}, deaf {deaf}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_withdrawn_task_is_stopped_and_forgotten() {
    let mut bench = Bench::new();
    bench.put(task(1));
    bench.reaches(1, TaskState::Running).await;
    bench.drop_task(1);
    sleep(Duration::from_millis(100)).await;
    assert_eq!((bench.executor.running(), bench.state(1)), (vec![], None));
    assert!(bench.running.usages().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_task_that_comes_back_while_it_is_being_forgotten_runs_again() {
    let mut bench = Bench::new();
    bench.executor.script("web", Behaviour { drain: Duration::from_secs(1), ..Behaviour::default() });
    bench.put(task(1));
    bench.reaches(1, TaskState::Running).await;
    bench.drop_task(1);
    sleep(Duration::from_millis(100)).await;
    bench.put(task(1));
    sleep(Duration::from_secs(2)).await;
    assert_eq!(bench.asked(), ["prepare", "start web.1", "stop web.1", "start web.1"]);
    assert_eq!(bench.state(1), Some(TaskState::Running));
}

#[tokio::test(start_paused = true)]
async fn a_component_is_prepared_once_for_all_and_few_at_once() {
    let mut bench = Bench::new();
    bench.executor.script_prepare(Duration::from_millis(100), None);
    for id in 1..=50 {
        let mut task = task(id);
        let template = Arc::make_mut(&mut task.template);
        template.image.digest = Digest([(id % 10) as u8; 32]);
        bench.put(task);
    }
    for id in 1..=50 {
        bench.reaches(id, TaskState::Running).await;
    }
    assert_eq!(bench.asked().iter().filter(|asked| *asked == "prepare").count(), 10);
    assert_eq!(bench.executor.preparing_most(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_preparation_that_failed_is_tried_again_by_the_next_task() {
    let mut bench = Bench::new();
    bench.executor.script_prepare(Duration::from_millis(10), Some("not a component"));
    bench.put(task(1));
    bench.reaches(1, TaskState::Rejected).await;
    assert_eq!(bench.message(1), "not a component");
    bench.executor.script_prepare(Duration::ZERO, None);
    bench.put(task(2));
    bench.reaches(2, TaskState::Running).await;

    let mut lost = task(3);
    Arc::make_mut(&mut lost.template).image.digest = Digest([9; 32]);
    bench.images.lose(Digest([9; 32]));
    bench.put(lost);
    bench.reaches(3, TaskState::Rejected).await;
    assert!(bench.message(3).contains("no node has image"), "{}", bench.message(3));
}

#[tokio::test(start_paused = true)]
async fn a_start_that_fails_is_a_failure_and_a_stop_during_a_start_waits_for_it() {
    let mut bench = Bench::new();
    bench.executor.script("web", Behaviour { start_error: Some("no memory".into()), ..Behaviour::default() });
    bench.put(task(1));
    bench.reaches(1, TaskState::Failed).await;
    assert_eq!(bench.message(1), "no memory");

    bench.executor.script("web", Behaviour { start_delay: Duration::from_millis(500), ..Behaviour::default() });
    bench.put(task(2));
    bench.reaches(2, TaskState::Starting).await;
    let began = Instant::now();
    bench.desire(2, TaskState::Shutdown);
    bench.reaches(2, TaskState::Shutdown).await;
    assert!((490..600).contains(&(began.elapsed().as_millis() as u64)), "{:?}", began.elapsed());
    assert!(bench.executor.running().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_end_from_within_is_reported_with_its_trap() {
    let mut bench = Bench::new();
    bench.put(task(1));
    bench.reaches(1, TaskState::Running).await;
    bench.executor.end(TaskId(1), Exit::Trapped { message: "out of bounds".into(), backtrace: "at f".into() });
    bench.reaches(1, TaskState::Failed).await;
    let status = bench.session.last_word(TaskId(1)).unwrap();
    assert_eq!((&*status.message, &*status.backtrace), ("out of bounds", "at f"));
}

#[tokio::test(start_paused = true)]
async fn a_start_is_put_off_until_its_time() {
    let mut bench = Bench::new();
    let mut late = task(1);
    late.start_at_ms = Some(bench.clock.now().0 + 700);
    let began = Instant::now();
    bench.put(late);
    bench.reaches(1, TaskState::Accepted).await;
    bench.reaches(1, TaskState::Running).await;
    assert!((700..720).contains(&(began.elapsed().as_millis() as u64)), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_volume_is_held_by_one_task_and_the_next_one_says_what_it_waits_for() {
    let mut bench = Bench::new();
    let mounting = |id| {
        let mut task = task(id);
        let mount = |target: &str| Mount { kind: MountKind::Volume, source: "data".into(), target: target.into(), read_only: false };
        Arc::make_mut(&mut task.template).mounts = vec![mount("/data"), mount("/again")];
        task.volumes = [("data".to_owned(), VolumeId(5))].into();
        task
    };
    bench.put(mounting(1));
    bench.reaches(1, TaskState::Running).await;
    let run = bench.executor.run_of(TaskId(1)).unwrap();
    assert!(run.mounts.len() == 2 && run.mounts[0].host.is_dir() && run.mounts[1].guest == "/again", "{run:?}");

    bench.put(mounting(2));
    bench.reaches(2, TaskState::Ready).await;
    sleep(Duration::from_secs(5)).await;
    assert_eq!(bench.message(2), format!("waits for volume 'data', which task {} holds", TaskId(1)));
    bench.desire(1, TaskState::Shutdown);
    bench.reaches(2, TaskState::Running).await;
    assert_eq!(bench.volumes.holder(VolumeId(5)), Some(TaskId(2)));

    // A wait that is called off leaves nothing behind.
    bench.put(mounting(3));
    bench.reaches(3, TaskState::Ready).await;
    bench.desire(3, TaskState::Shutdown);
    bench.reaches(3, TaskState::Shutdown).await;
    bench.desire(2, TaskState::Shutdown);
    bench.reaches(2, TaskState::Shutdown).await;
    assert_eq!(bench.volumes.holder(VolumeId(5)), None);
}

#[tokio::test(start_paused = true)]
async fn a_missing_volume_is_a_rejection() {
    let mut bench = Bench::new();
    let mut task = task(1);
    Arc::make_mut(&mut task.template).mounts =
        vec![Mount { kind: MountKind::Volume, source: "data".into(), target: "/data".into(), read_only: true }];
    bench.put(task);
    bench.reaches(1, TaskState::Rejected).await;
    assert_eq!(bench.message(1), "volume 'data' does not exist");
}

#[tokio::test(start_paused = true)]
async fn a_task_starts_with_its_secrets_or_not_at_all() {
    let mut bench = Bench::new();
    let having = |id| {
        let mut task = task(id);
        let (name, target) = ("password".to_owned(), "/run/secrets/password".to_owned());
        Arc::make_mut(&mut task.template).secrets = vec![FileReference { id: FileId(5), name, target, mode: 0o400 }];
        task
    };
    bench.put(task(1));
    bench.put(having(2));
    bench.reaches(2, TaskState::Running).await;
    assert_eq!(bench.files.asked(), [TaskId(2)], "who has none asks for none");
    let run = bench.executor.run_of(TaskId(2)).unwrap();
    let [file] = run.files.as_slice() else { panic!("{run:?}") };
    assert_eq!((file.target.as_str(), file.mode, &**file.content.bytes()), ("/run/secrets/password", 0o400, &b"password"[..]));
    assert!(format!("{:?}", file.content) == "(8 bytes)", "the content is not shown");

    bench.files.refuse("secret 'password' does not exist any more");
    bench.put(having(3));
    bench.reaches(3, TaskState::Rejected).await;
    assert_eq!(bench.message(3), "secret 'password' does not exist any more");
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_daemon_ends_its_tasks_and_says_nothing() {
    let mut bench = Bench::new();
    bench.executor.script("web", Behaviour { drain: Duration::from_secs(60), ..Behaviour::default() });
    (1..=20).for_each(|id| _ = bench.put(task(id)));
    bench.reaches(20, TaskState::Running).await;
    let began = Instant::now();
    bench.shutdown.cancel();
    (&mut bench.agent).await.unwrap();
    assert!(bench.executor.running().is_empty());
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn views_are_acknowledged_when_they_are_in_force() {
    let mut bench = Bench::new();
    let mut applied = bench.session.applied();
    let index = bench.put(task(1));
    applied.wait_for(|applied| *applied == index).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_tasks_start_and_stop() {
    let mut bench = Bench::new();
    for id in 1..=10_000 {
        bench.index += 1;
        bench.tasks.insert(TaskId(id), Arc::new(task(id)));
    }
    bench.show();
    bench.reaches(10_000, TaskState::Running).await;
    assert_eq!(bench.running.usages().len(), 10_000);
    bench.tasks.clear();
    bench.show();
    sleep(Duration::from_millis(100)).await;
    assert!(bench.executor.running().is_empty());
}
