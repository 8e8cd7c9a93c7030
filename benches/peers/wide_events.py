"""Wide nested events: the form of a code host's public events, 800 columns and more, of which each event fills some."""

from column_types import list_of, struct
from records import Draw

USER_URLS = ["avatar", "html", "self", "keys", "projects", "followers", "following", "gists", "starred", "subscriptions", "organizations", "repos",
             "events", "received_events"]  # fmt: skip
REPO_URLS = ["html", "forks", "keys", "collaborators", "teams", "hooks", "issue_events", "events", "assignees", "branches",
             "tags", "blobs", "git_tags", "git_refs", "trees", "statuses", "languages", "stargazers", "contributors",
             "subscribers", "subscription", "commits", "git_commits", "comments", "issue_comment", "contents", "compare",
             "merges", "archive", "downloads", "issues", "pulls", "milestones", "notifications", "labels", "releases",
             "deployments", "git", "ssh", "clone", "svn"]  # fmt: skip
REPO_FLAGS = ["private", "fork", "has_issues", "has_projects", "has_downloads", "has_wiki", "has_pages", "has_discussions",
              "archived", "disabled", "is_template", "allow_forking"]  # fmt: skip
REPO_COUNTS = ["size", "stargazers_count", "watchers_count", "forks_count", "open_issues_count", "forks", "open_issues",
               "watchers"]  # fmt: skip
PULL_COUNTS = ["comments", "review_comments", "commits", "additions", "deletions", "changed_files"]
PULL_URLS = ["html", "diff", "patch", "issue", "commits", "review_comments", "comments", "statuses"]

USER = struct(
    ("login", "string"), ("id", "int64"), ("node_id", "string"), ("type", "string"), ("site_admin", "bool"),
    *[(f"{name}_url", "string") for name in USER_URLS],
)  # fmt: skip
REPO = struct(
    ("id", "int64"), ("node_id", "string"), ("name", "string"), ("full_name", "string"), ("owner", USER),
    ("description", "string"), ("homepage", "string"), ("language", "string"), ("default_branch", "string"),
    ("visibility", "string"), ("created_at", "string"), ("updated_at", "string"), ("pushed_at", "string"),
    ("license", struct(("key", "string"), ("name", "string"), ("spdx_id", "string"))), ("topics", list_of("string")),
    *[(f"{name}_url", "string") for name in REPO_URLS], *[(name, "bool") for name in REPO_FLAGS],
    *[(name, "int64") for name in REPO_COUNTS],
)  # fmt: skip
LABEL = struct(("id", "int64"), ("name", "string"), ("color", "string"), ("default", "bool"), ("description", "string"))
MILESTONE = struct(("id", "int64"), ("number", "int64"), ("title", "string"), ("state", "string"), ("creator", USER),
                   ("open_issues", "int64"), ("closed_issues", "int64"), ("due_on", "string"))  # fmt: skip
BRANCH = struct(("label", "string"), ("ref", "string"), ("sha", "string"), ("user", USER), ("repo", REPO))
REACTIONS = struct(*[(name, "int64") for name in ("total_count", "plus", "minus", "laugh", "hooray", "heart", "eyes")])
TALK = [("id", "int64"), ("node_id", "string"), ("user", USER), ("body", "string"), ("created_at", "string"),
        ("updated_at", "string"), ("author_association", "string"), ("reactions", REACTIONS)]  # fmt: skip
ISSUE = struct(*TALK, ("number", "int64"), ("title", "string"), ("state", "string"), ("locked", "bool"),
               ("labels", list_of(LABEL)), ("assignee", USER), ("milestone", MILESTONE), ("comments", "int64"),
               ("closed_at", "string"), ("url", "string"), ("html_url", "string"))  # fmt: skip
PULL = struct(*TALK, ("number", "int64"), ("title", "string"), ("state", "string"), ("locked", "bool"), ("draft", "bool"),
              ("merged", "bool"), ("merged_at", "string"), ("merge_commit_sha", "string"), ("merged_by", USER),
              ("assignee", USER), ("labels", list_of(LABEL)), ("milestone", MILESTONE), ("head", BRANCH), ("base", BRANCH),
              *[(name, "int64") for name in PULL_COUNTS], *[(f"{name}_url", "string") for name in PULL_URLS])  # fmt: skip
COMMENT = struct(*TALK, ("path", "string"), ("commit_id", "string"), ("position", "int64"), ("line", "int64"),
                 ("diff_hunk", "string"), ("url", "string"))  # fmt: skip
REVIEW = struct(*TALK, ("state", "string"), ("commit_id", "string"), ("submitted_at", "string"))
DISCUSSION = struct(*TALK, ("number", "int64"), ("title", "string"), ("answer", "string"), ("state", "string"))
RELEASE = struct(("id", "int64"), ("tag_name", "string"), ("name", "string"), ("draft", "bool"), ("prerelease", "bool"),
                 ("author", USER), ("body", "string"), ("published_at", "string"),
                 ("assets", list_of(struct(("id", "int64"), ("name", "string"), ("size", "int64"), ("uploader", USER)))))  # fmt: skip
COMMIT = struct(("sha", "string"), ("author", struct(("email", "string"), ("name", "string"))), ("message", "string"),
                ("distinct", "bool"), ("url", "string"))  # fmt: skip
PAYLOAD = struct(("action", "string"), ("ref", "string"), ("ref_type", "string"), ("push_id", "int64"), ("size", "int64"),
                 ("head", "string"), ("before", "string"), ("commits", list_of(COMMIT)), ("number", "int64"),
                 ("pull_request", PULL), ("issue", ISSUE), ("comment", COMMENT), ("review", REVIEW), ("forkee", REPO), ("source", REPO), ("discussion", DISCUSSION),
                 ("release", RELEASE), ("member", USER))  # fmt: skip
ACTOR = struct(("id", "int64"), ("login", "string"), ("display_login", "string"), ("url", "string"))
WIDE = [
    ("id", "string"), ("type", "string"), ("actor", ACTOR),
    ("repo", struct(("id", "int64"), ("name", "string"), ("url", "string"))), ("payload", PAYLOAD), ("public", "bool"),
    ("created_at", "string"), ("org", struct(("id", "int64"), ("login", "string"), ("url", "string"))),
]  # fmt: skip



class Host:
    """What makes up events, from a seed."""

    def __init__(self, seed):
        self.draw = Draw(seed)
        self.users = [self.user(n) for n in range(2000)]
        self.repos = [self.repo(n) for n in range(2000)]

    def user(self, n):
        login = f"{self.draw.choice(self.draw.words)}{n}"
        at = f"https://api.host.example/users/{login}"
        return {"login": login, "id": 10_000 + n * 37, "node_id": self.draw.hex(20), "type": "User", "site_admin": False,
                **{f"{name}_url": f"{at}/{name}" for name in USER_URLS}}  # fmt: skip

    def repo(self, n):
        draw, owner = self.draw, self.draw.choice(self.users)
        name = f"{draw.choice(draw.words)}-{n}"
        full = f"{owner['login']}/{name}"
        at = f"https://api.host.example/repos/{full}"
        license = draw.maybe(0.6, {"key": "mit", "name": "MIT License", "spdx_id": "MIT"})
        return {"id": 500_000 + n * 91, "node_id": draw.hex(24), "name": name, "full_name": full, "owner": owner,
                "description": draw.maybe(0.8, draw.text(4, 14)), "homepage": draw.maybe(0.2, "https://" + name + ".example"),
                "language": draw.choice(["Python", "Rust", "Go", "TypeScript", None]), "default_branch": "main",
                "visibility": "public", "created_at": draw.instant(), "updated_at": draw.instant(), "pushed_at": draw.instant(),
                "license": license, "topics": draw.choices(draw.words[:200], k=draw.randint(0, 4)),
                **{f"{url}_url": f"{at}/{url}" for url in REPO_URLS}, **{flag: draw.random() < 0.5 for flag in REPO_FLAGS},
                **{count: draw.randrange(5000) for count in REPO_COUNTS}}  # fmt: skip

    def talk(self):
        draw = self.draw
        reactions = {name: 0 for name in ("total_count", "plus", "minus", "laugh", "hooray", "heart", "eyes")}
        return {"id": draw.randrange(2**40), "node_id": draw.hex(24), "user": draw.choice(self.users),
                "body": draw.maybe(0.9, draw.text(5, 60) + "\r\n\r\n" + draw.text(0, 20)), "created_at": draw.instant(),
                "updated_at": draw.instant(), "author_association": "NONE", "reactions": reactions}  # fmt: skip

    def milestone(self):
        draw = self.draw
        return {"id": draw.randrange(10**7), "number": draw.randrange(40), "title": draw.text(1, 3), "state": "open",
                "creator": draw.choice(self.users), "open_issues": draw.randrange(90), "closed_issues": draw.randrange(90),
                "due_on": None}  # fmt: skip

    def thread(self):
        """What issues and pull requests share."""
        draw = self.draw
        labels = [{"id": draw.randrange(10**9), "name": draw.choice(draw.words[:60]), "color": draw.hex(6), "default": True,
                   "description": draw.maybe(0.5, draw.text(2, 6))} for _ in range(draw.randint(0, 3))]  # fmt: skip
        return {**self.talk(), "number": draw.randrange(5000), "title": draw.text(3, 10), "state": "open", "locked": False,
                "labels": labels, "assignee": draw.maybe(0.2, draw.choice(self.users)),
                "milestone": draw.maybe(0.1, self.milestone())}  # fmt: skip

    def issue(self):
        draw, at = self.draw, f"https://api.host.example/issues/{self.draw.randrange(10**7)}"
        return {**self.thread(), "comments": draw.randrange(30), "closed_at": None, "url": at, "html_url": at + "/html"}

    def branch(self):
        draw, repo = self.draw, self.draw.choice(self.repos)
        ref = draw.choice(draw.words)
        return {"label": f"{repo['owner']['login']}:{ref}", "ref": ref, "sha": draw.hex(40), "user": repo["owner"], "repo": repo}

    def pull(self):
        draw, at = self.draw, f"https://api.host.example/pulls/{self.draw.randrange(10**7)}"
        merged = draw.random() < 0.4
        return {**self.thread(), "draft": False, "merged": merged, "merged_at": draw.instant() if merged else None,
                "merge_commit_sha": draw.hex(40), "merged_by": draw.choice(self.users) if merged else None,
                "head": self.branch(), "base": self.branch(), **{name: draw.randrange(900) for name in PULL_COUNTS},
                **{f"{name}_url": f"{at}/{name}" for name in PULL_URLS}}  # fmt: skip

    def comment(self):
        draw = self.draw
        return {**self.talk(), "path": "src/" + draw.choice(draw.words) + ".rs", "commit_id": draw.hex(40), "position": None,
                "line": draw.randrange(900), "diff_hunk": "@@ -1,4 +1,6 @@\n" + draw.text(5, 40), "url": "https://api.host.example"}  # fmt: skip

    def payload(self, kind):
        draw = self.draw
        if kind == "PushEvent":
            commits = [{"sha": draw.hex(40), "author": {"email": draw.choice(draw.words) + "@mail.example", "name": draw.text(2, 2)},
                        "message": draw.text(3, 20), "distinct": True, "url": "https://api.host.example/" + draw.hex(40)}
                       for _ in range(draw.randint(1, 4))]  # fmt: skip
            return {"push_id": draw.randrange(2**40), "size": len(commits), "ref": "refs/heads/main", "head": draw.hex(40),
                    "before": draw.hex(40), "commits": commits}  # fmt: skip
        if kind == "PullRequestEvent":
            return {"action": "opened", "number": draw.randrange(5000), "pull_request": self.pull()}
        if kind == "PullRequestReviewEvent":
            review = {**self.talk(), "state": "approved", "commit_id": draw.hex(40), "submitted_at": draw.instant()}
            return {"action": "created", "review": review, "pull_request": self.pull()}
        if kind == "IssueCommentEvent":
            return {"action": "created", "issue": self.issue(), "comment": self.comment()}
        if kind == "IssuesEvent":
            return {"action": "opened", "issue": self.issue()}
        if kind == "ForkEvent":
            return {"forkee": draw.choice(self.repos), "source": draw.choice(self.repos)}
        if kind == "DiscussionEvent":
            discussion = {**self.talk(), "number": draw.randrange(900), "title": draw.text(3, 9), "answer": None, "state": "open"}
            return {"action": "created", "discussion": discussion}
        if kind == "ReleaseEvent":
            assets = [{"id": draw.randrange(10**8), "name": draw.choice(draw.words) + ".zip", "size": draw.randrange(10**8),
                       "uploader": draw.choice(self.users)} for _ in range(draw.randint(0, 3))]  # fmt: skip
            return {"action": "published", "release": {
                "id": draw.randrange(10**8), "tag_name": f"v1.{draw.randrange(40)}", "name": draw.text(1, 4), "draft": False,
                "prerelease": False, "author": draw.choice(self.users), "body": draw.text(10, 90),
                "published_at": draw.instant(), "assets": assets}}  # fmt: skip
        if kind == "MemberEvent":
            return {"action": "added", "member": draw.choice(self.users)}
        if kind == "CreateEvent":
            return {"ref": draw.choice(draw.words), "ref_type": "branch"}
        return {"action": "started"}


KINDS = {"PushEvent": 50, "CreateEvent": 13, "WatchEvent": 8, "PullRequestEvent": 9, "PullRequestReviewEvent": 4,
         "IssueCommentEvent": 7, "IssuesEvent": 3, "ForkEvent": 3, "ReleaseEvent": 2, "MemberEvent": 1,
         "DiscussionEvent": 1}  # fmt: skip


def wide(seed):
    host = Host(seed)
    draw, n = host.draw, 40_000_000_000
    kinds, weights = list(KINDS), list(KINDS.values())
    while True:
        n += draw.randrange(1, 30)
        [kind] = draw.choices(kinds, weights)
        user, repo = draw.choice(host.users), draw.choice(host.repos)
        event = {
            "id": str(n), "type": kind,
            "actor": {"id": user["id"], "login": user["login"], "display_login": user["login"], "url": user["html_url"]},
            "repo": {"id": repo["id"], "name": repo["full_name"], "url": repo["html_url"]},
            "payload": host.payload(kind), "public": True, "created_at": draw.instant(),
        }  # fmt: skip
        if draw.random() < 0.2:
            event["org"] = {"id": user["id"], "login": user["login"], "url": user["html_url"]}
        yield event
