"""What the toolkit asks of a Label Studio server, through its SDK: projects, tasks, answers.

No error tells a token or what a server's error page holds. Reads are tried again by the SDK; an import is
sent once, for a server that dropped the connection may have stored it: `Unsure` says so, and who catches it
looks before it sends again.
"""

import importlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

from valor_data.errors import FatalError, UserError, ValorDataError

PAGE = 500
"""Tasks of one page with their answers: about a megabyte."""
_IDS_PAGE = 5_000
_TIMEOUT_S = 300
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_ONCE = {"max_retries": 0, "timeout_in_seconds": _TIMEOUT_S}
_WORDS = 300
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Unsure(ValorDataError):
    """The server did not say whether it stored what was sent; `wait_s`: how long it asks to be left alone."""

    def __init__(self, message: str, wait_s: float) -> None:
        super().__init__(message)
        self.wait_s = wait_s


class Project(NamedTuple):
    """One project on the server."""

    id: int
    tasks: int
    config: str
    description: str
    people: int
    """To how many each task is handed."""


class Listed(NamedTuple):
    """The tasks of a project."""

    ids: dict[str, int]
    """Our id of each -> the server's; of two the one that has answers, else the first."""
    surplus: list[int]
    """The server's ids of those whose own id is there twice and that have no answer."""
    tasks: int
    """All of them, those that are not ours too."""


class Studio:
    """A server that knows us; its connections are closed with the `with`."""

    def __init__(self, url: str, token: str) -> None:
        """Raises UserError: the SDK is missing, nobody answers, or the token is refused."""
        try:
            http, sdk = importlib.import_module("httpx"), importlib.import_module("label_studio_sdk.client")
        except ImportError as error:
            raise UserError(
                f"the package label-studio-sdk is missing ({error}); run: pip install 'valor-data[annotate]'"
            ) from None
        self.url = url.rstrip("/")
        # A proxy would look for loopback on its own machine.
        trusted = urlsplit(url).hostname not in _LOOPBACK
        self._http = http.Client(trust_env=trusted, timeout=_TIMEOUT_S, follow_redirects=True)
        self._http_error: type[Exception] = http.HTTPError
        self._api_error: Any = importlib.import_module("label_studio_sdk.core.api_error").ApiError
        try:
            with self._told("the login"):
                self._api = sdk.LabelStudio(base_url=self.url, api_key=token, httpx_client=self._http)
                self._account = self._api.users.whoami().id
        except BaseException:
            self._http.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def project(self, title: str) -> Project | None:
        """The oldest project of that title."""
        with self._told(f"project {title!r}"):
            found = [one for one in self._api.projects.list(title=title) if one.title == title]
        if not found:
            return None
        return self._project(min(one.id for one in found))

    def _project(self, project_id: int) -> Project:
        with self._told(f"project {project_id}"):
            one = self._api.projects.get(project_id)
        config, description = one.label_config or "", one.description or ""
        return Project(one.id, one.task_number or 0, config, description, one.maximum_annotations or 1)

    def create(self, title: str, config: str, description: str, instruction: str, people: int) -> Project:
        """A new project whose tasks are each handed to so many people."""
        with self._told(f"project {title!r}"):
            made = self._api.projects.create(
                title=title,
                label_config=config,
                description=description,
                expert_instruction=instruction,
                show_instruction=bool(instruction),
                maximum_annotations=people,
                sampling="Sequential sampling",
                enable_empty_annotation=False,
                request_options=_ONCE,
            )
        return Project(made.id, 0, config, description, people)

    def update(self, project: Project, config: str, description: str, instruction: str, people: int) -> None:
        """Bring a project up to date. Raises UserError where the server refuses the config, as it does when
        answers use a control that the config lacks."""
        with self._told("the label config"):
            self._api.projects.update(
                project.id,
                label_config=config,
                description=description,
                expert_instruction=instruction,
                maximum_annotations=people,
            )

    def serve_folder(self, project: Project, folder: str) -> None:
        """Permit the server to serve what lies in a folder of its own disk; nothing is synchronised."""
        with self._told("the folder of clips"):
            standing = self._api.import_storage.local.list(project=project.id)
            if not any(one.path == folder for one in standing):
                self._api.import_storage.local.create(
                    project=project.id,
                    title="clips",
                    path=folder,
                    use_blob_urls=True,
                    recursive_scan=True,
                    request_options=_ONCE,
                )

    def accounts(self) -> list[int]:
        """The numbers of all accounts but our own."""
        with self._told("the list of accounts"):
            return sorted(int(one.id) for one in self._api.users.list() if one.id != self._account)

    def queues(self, project: Project, pseudonyms: Sequence[str]) -> list[int]:
        """The tab of each person, with all tasks but those that he must not get; made where it is missing."""
        with self._told("the tabs"):
            standing = self._api.views.list(project=project.id)
            tabs = {str((one.data or {}).get("title")): int(one.id) for one in standing}
            return [tabs.get(_tab(name)) or self._new_queue(project, name) for name in pseudonyms]

    def _new_queue(self, project: Project, pseudonym: str) -> int:
        item = {
            "filter": "filter:tasks:data.not_for",
            "operator": "not_contains",
            "type": "String",
            "value": pseudonym,
        }
        made = self._api.views.create(
            project=project.id,
            data={
                "title": _tab(pseudonym),
                "filters": {"conjunction": "and", "items": [item]},
                "ordering": ["tasks:id"],
            },
            request_options=_ONCE,
        )
        return int(made.id)

    def own_ids(self, project: Project) -> dict[str, int]:
        """Our id of each task -> the server's."""
        return self.listed(project).ids

    def listed(self, project: Project) -> Listed:
        """All tasks of a project."""
        ids: dict[str, int] = {}
        answered: dict[str, bool] = {}
        surplus, tasks = [], 0
        asked = "id,data,total_annotations,cancelled_annotations"
        for task in self._pages(project, _IDS_PAGE, fields="task_only", include=asked):
            tasks += 1
            own, number = str((task.get("data") or {}).get("task_id", "")), int(task["id"])
            has = bool(task.get("total_annotations") or task.get("cancelled_annotations"))
            if own not in ids:
                ids[own], answered[own] = number, has
            elif own and not has:
                surplus.append(number)
            elif own and not answered[own]:
                surplus.append(ids[own])
                ids[own], answered[own] = number, has
        return Listed(ids, surplus, tasks)

    def count(self, project: Project) -> int:
        """How many tasks a project has now."""
        with self._told("the list of tasks"):
            pager = self._api.tasks.list(
                project=project.id, page=1, page_size=1, fields="task_only", include="id"
            )
        return int(pager.response.total)

    def add(self, project: Project, tasks: Sequence[Mapping[str, Any]]) -> None:
        """Import tasks, all or none. Raises Unsure where it is not known which."""
        # Not by the SDK's method, which looks into every value of every task: a tenth of the time of a push.
        with self._told("the import", unsure=True):
            headers = {**self._api._client_wrapper.get_headers(), "Content-Type": "application/json"}
            answer = self._http.post(
                f"{self.url}/api/projects/{project.id}/import",
                params={"return_task_ids": "false"},
                content=json.dumps(tasks).encode(),
                headers=headers,
                follow_redirects=False,  # a POST would become a GET
            )
            if not answer.is_success:
                raise self._api_error(
                    status_code=answer.status_code, headers=dict(answer.headers), body=_body(answer)
                )

    def remove(self, project: Project, ids: Sequence[int]) -> None:
        """Delete tasks with all their answers."""
        for first in range(0, len(ids), 1000):
            with self._told("taking tasks back"):
                self._api.actions.create(
                    id="delete_tasks",
                    project=project.id,
                    selected_items={"all": False, "included": list(ids[first : first + 1000])},
                )

    def changed(self, project: Project, since_us: int) -> Iterator[dict[str, Any]]:
        """Tasks with all their answers that changed after a moment (microseconds since 1970), the longest ago
        first; 0: all that have an answer. An answer that is deleted changes its task too."""
        if since_us:
            # In whole microseconds: many tasks share one moment, and a rounded one would fetch them again.
            moment = (_EPOCH + timedelta(microseconds=since_us)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            asked = [_above("updated_at", "Datetime", moment)]
        else:  # every task counts as changed when it is imported
            asked = [_above(name, "Number", 0) for name in ("total_annotations", "cancelled_annotations")]
        query = {"filters": {"conjunction": "or", "items": asked}, "ordering": ["tasks:updated_at"]}
        yield from self._pages(project, PAGE, fields="all", query=json.dumps(query))

    def _pages(self, project: Project, size: int, **asked: Any) -> Iterator[dict[str, Any]]:
        """Tasks of all pages, one page in memory at a time."""
        seen, total, page = 0, 1, 1
        while seen < total:
            with self._told("the list of tasks"):
                pager = self._api.tasks.list(project=project.id, page=page, page_size=size, **asked)
            total, page = pager.response.total, page + 1
            for task in pager.items or ():
                yield task.dict()
            seen += len(pager.items or ()) or size  # what vanished meanwhile is not waited for

    @contextmanager
    def _told(self, what: str, *, unsure: bool = False) -> Iterator[None]:
        """Turn the SDK's errors into ours."""
        try:
            yield
        except self._api_error as error:
            status = getattr(error, "status_code", None)
            raise self._of_status(status, what, error, unsure=unsure) from None
        except self._http_error as error:
            name = type(error).__name__
            if name in ("ConnectError", "ConnectTimeout") and not unsure:
                raise UserError(
                    f"{self.url}: no Label Studio answers there ({name}); start one with "
                    "'valor-data annotate serve', or mend annotate.url"
                ) from None
            if unsure:
                raise Unsure(f"{self.url}: {what}: {name}", 0.0) from None
            raise FatalError(f"{self.url}: {what}: {name}; what is done is kept, try again") from None

    def _of_status(self, status: int | None, what: str, error: Exception, *, unsure: bool) -> ValorDataError:
        if status in (None, 401):
            return UserError(f"{self.url} refuses the token; give a fresh one in LABEL_STUDIO_API_KEY")
        if status == 403:
            return UserError(f"{self.url}: {what}: this account may not do that (403)")
        if status == 404:
            return UserError(f"{self.url}: {what}: not there (404); was the project deleted? Push again")
        if status in (400, 413):
            return UserError(f"{self.url}: {what} was refused ({status}): {_detail(error)}")
        if unsure and (status == 429 or status >= 500):
            return Unsure(f"{self.url}: {what}: HTTP {status}", _wait_s(error))
        return FatalError(f"{self.url}: {what}: HTTP {status}; what is done is kept, try again later")


def _body(answer: Any) -> object:
    """What was answered, None where it is no JSON."""
    try:
        return answer.json()
    except ValueError:
        return None


def _tab(pseudonym: str) -> str:
    return f"for {pseudonym}"


def _above(column: str, kind: str, value: object) -> dict[str, object]:
    return {"filter": f"filter:tasks:{column}", "operator": "greater", "type": kind, "value": value}


def _detail(error: Exception) -> str:
    """What the server says of our input, cut short; never its headers or a page of HTML."""
    body = getattr(error, "body", None)
    if not isinstance(body, dict):
        return "no reason given"
    told = body.get("validation_errors") or body.get("detail") or "no reason given"
    return " ".join(str(told).split())[:_WORDS]


def _wait_s(error: Exception) -> float:
    headers = {key.lower(): value for key, value in (getattr(error, "headers", None) or {}).items()}
    try:
        return min(60.0, max(0.0, float(headers.get("retry-after", 0))))
    except ValueError:
        return 0.0
