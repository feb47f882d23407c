//! The page in a real browser: it draws, its speed rises, its console stays clean, and nothing leaves the host.
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::programs::installed;
use crate::support::{self, Cluster, PATIENCE};
use fantoccini::wd::{Capabilities, WebDriverCompatibleCommand};
use fantoccini::{Client, ClientBuilder, Locator};
use serde_json::{Value, json};

/// A ChromeDriver of our own, on a port that it chose.
struct Driver {
    process: Child,
    address: String,
}

impl Driver {
    fn start() -> Driver {
        let mut process = Command::new("chromedriver").arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
        let port: String = lines
            .find_map(|line| line.split_once("started successfully on port ").map(|(_, port)| port.trim_end_matches('.').to_owned()))
            .expect("chromedriver says its port");
        std::thread::spawn(move || lines.for_each(drop));
        Driver { process, address: format!("http://127.0.0.1:{port}") }
    }

    async fn browser(&self, profile: &std::path::Path) -> Client {
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--window-size=1280,960",
            &format!("--user-data-dir={}", profile.display()),
        ];
        let capabilities = json!({
            "goog:chromeOptions": { "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
        });
        let Value::Object(capabilities) = capabilities else { unreachable!("an object was written above") };
        let capabilities: Capabilities = capabilities.into_iter().collect();
        ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new())
            .capabilities(capabilities)
            .connect(&self.address)
            .await
            .unwrap()
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// ChromeDriver's own command for its logs.
#[derive(Debug)]
struct Log(&'static str);

impl WebDriverCompatibleCommand for Log {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/se/log", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(json!({ "type": self.0 }).to_string()))
    }
}

async fn log(browser: &Client, kind: &'static str) -> Vec<Value> {
    browser.issue_cmd(Log(kind)).await.unwrap().as_array().cloned().unwrap_or_default()
}

async fn text(browser: &Client, selector: &str) -> String {
    browser.wait().at_most(PATIENCE).for_element(Locator::Css(selector)).await.unwrap().text().await.unwrap()
}

/// The number in `Current mining speed: ~3.3 hashes/second`.
fn speed(text: &str) -> Option<f64> {
    text.strip_prefix("Current mining speed: ~")?.strip_suffix(" hashes/second")?.parse().ok()
}

#[test]
fn the_page_shows_a_rising_graph_and_asks_nobody_else() {
    if !installed(&["chromedriver", "chromium"]) {
        return;
    }
    let cluster = Cluster::found();
    support::deploy(&cluster.nodes[0]);
    let page = format!("http://{}:8000/", cluster.nodes[0].ip);
    support::wait_for("the page answers", || cluster.nodes[0].http(8000, "/json").filter(|(status, _)| *status == 200));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(look_at(&page));
}

async fn look_at(page: &str) {
    let driver = Driver::start();
    let profile = tempfile::tempdir().unwrap();
    let browser = driver.browser(profile.path()).await;
    browser.goto(page).await.unwrap();
    assert!(browser.current_url().await.unwrap().path().ends_with("/index.html"));
    let deadline = Instant::now() + PATIENCE;
    let mut shown = String::new();
    while speed(&shown).is_none_or(|speed| speed <= 0.0) {
        assert!(Instant::now() < deadline, "no speed on the page: '{shown}'");
        tokio::time::sleep(Duration::from_millis(200)).await;
        shown = text(&browser, "#speed").await;
    }
    browser.find(Locator::Css("canvas")).await.expect("the chart is drawn");
    for entry in log(&browser, "browser").await {
        assert_ne!(entry["level"], "SEVERE", "{entry}");
    }
    for entry in log(&browser, "performance").await {
        let message: Value = serde_json::from_str(entry["message"].as_str().unwrap_or_default()).unwrap_or_default();
        if message["message"]["method"] == "Network.requestWillBeSent" {
            let url = message["message"]["params"]["request"]["url"].as_str().unwrap_or_default().to_owned();
            // The browser's own first tab, before it went to the page.
            let own = url.starts_with("chrome://") || url.starts_with("data:");
            assert!(own || url.starts_with(page), "a request left the host: {url}");
        }
    }
    browser.close().await.unwrap();
}
