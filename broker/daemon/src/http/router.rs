//! The rest of the paths, by axum's router.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use axum::routing::{delete, get, post};
use fanfare_protocol::ErrorCode;
use http_body_util::Either;
use hyper::Request;
use hyper::body::Incoming;
use tower::ServiceExt;

use super::batch::batch as publish_batch;
use super::{Answer, operate, page, problem};
use crate::node::Node;

/// The router of a node.
pub(crate) fn router(node: Arc<Node>) -> Router {
    page::console()
        .fold(Router::new(), |router, (path, answer)| router.route(path, get(async move || outer(answer()))))
        .route("/openapi.json", get(async || outer(page::openapi())))
        .route("/healthz", get(async || outer(operate::healthz())))
        .route("/readyz", get(async |State(node): State<Arc<Node>>| outer(operate::readyz(&node))))
        .route("/metrics", get(async |State(node): State<Arc<Node>>| outer(operate::metrics(&node).await)))
        .route("/v1/publish", post(batch))
        .route("/v1/topics", get(topics))
        .route("/v1/topics/{topic}", post(unreachable_by_hand))
        .route("/v1/topics/{topic}/messages", get(unreachable_by_hand).delete(unreachable_by_hand))
        .route("/v1/sessions", get(sessions))
        .route("/v1/sessions/{id}", delete(disconnect))
        .route("/v1/messages", get(unreachable_by_hand))
        .route("/v1/ws", get(unreachable_by_hand))
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        .with_state(node)
}

/// Answers a request that no hot path took.
pub(super) async fn call(router: Router, request: Request<Incoming>) -> Answer {
    match router.oneshot(request.map(Body::new)).await {
        Ok(answer) => answer.map(Either::Right),
        Err(never) => match never {},
    }
}

async fn batch(State(node): State<Arc<Node>>, body: Body) -> Response {
    outer(publish_batch(&node, body).await)
}

async fn topics(State(node): State<Arc<Node>>, RawQuery(query): RawQuery) -> Response {
    outer(operate::topics(&node, query.as_deref().unwrap_or("")).await)
}

async fn sessions(State(node): State<Arc<Node>>, RawQuery(query): RawQuery) -> Response {
    outer(operate::sessions(&node, query.as_deref().unwrap_or("")).await)
}

async fn disconnect(State(node): State<Arc<Node>>, id: Result<Path<String>, PathRejection>) -> Response {
    let id = id.map_or_else(|_| String::new(), |Path(id)| id);
    outer(operate::disconnect(&node, &id).await)
}

/// Stands in the table so that other methods are answered with the right `Allow`.
async fn unreachable_by_hand() -> Response {
    outer(problem(ErrorCode::Internal, "this path is served before the router", None))
}

async fn method_not_allowed(request: Request<Body>) -> Response {
    let detail = format!("{} does not know the method {}", request.uri().path(), request.method());
    outer(problem(ErrorCode::MethodNotAllowed, &detail, None))
}

async fn not_found(request: Request<Body>) -> Response {
    let path = super::history::shorten(request.uri().path());
    let detail = format!("there is nothing at {path}; /openapi.json tells what there is");
    outer(problem(ErrorCode::NotFound, &detail, None))
}

fn outer(answer: Answer) -> Response {
    answer.map(|body| match body {
        Either::Left(bytes) => Body::new(bytes),
        Either::Right(body) => body,
    })
}
