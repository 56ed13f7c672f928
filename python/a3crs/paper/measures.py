"""Figures and tables of an experiment, in the paper's form and with the paper's values beside them."""

from collections.abc import Callable, Sequence
from typing import Any

import polars as pl

from a3crs.errors import ConfigError
from a3crs.paper.definition import FinishedRuns, Shown
from a3crs.published import paper
from a3crs.published.games import benchmark_game, titles
from a3crs.runlog import load, metrics
from a3crs.runlog.curves import height_at
from a3crs.runlog.references import human_normalised
from a3crs.sweep.plan import Plan
from a3crs.wording import counted

BINS = 50
_A3C = ("a3c_ff_1day", "a3c_ff", "a3c_lstm")  # columns of table S3


def curves(x: str, *, also: Sequence[str] = ()) -> Callable[[FinishedRuns], Shown]:
    """Returns a measure of score over `hours` or `frames`; `also` names curves of the paper without runs of ours."""

    def show(outcome: FinishedRuns) -> Shown:
        return _curves(outcome, x, also)

    return show


def _curves(outcome: FinishedRuns, x: str, also: Sequence[str]) -> Shown:
    from a3crs.runlog import figures

    label, by = "actors" if len(outcome.experiment.actors) > 1 else "algo", ["game", "algo", "actors"]
    best = outcome.best(by)
    if label == "algo":  # if the experiment compares numbers of actors, only the runs with the most
        best = best.filter(pl.col("actors") == pl.col("actors").max())
    about = best.lazy().select("run", *by)
    episodes = load.episodes(outcome.paths(best)).join(about, on="run")
    mean = (
        metrics.curves(episodes, x, by=["run", *by], per=by, bins=BINS)
        .group_by(*by, x)
        .agg(pl.mean("episode_return"), low=pl.min("episode_return"), high=pl.max("episode_return"), runs=pl.len())
        .filter(pl.col("runs") == pl.col("runs").max().over(by))  # beyond, a single longer run would stand for the mean
        .sort(*by, x)
        .collect()
    )
    theirs = _papers(outcome, best, also)
    rows: list[dict[str, Any]] = []
    for (game, algo, actors), curve in mean.group_by(by, maintain_order=True):
        cell = {"game": game, "algo": algo, "actors": actors}
        chosen, every, end = best.filter(**cell), outcome.runs.filter(**cell), curve[x][-1]
        papers = theirs.filter(game=_key(str(game)), algo=algo)
        if label == "actors":
            papers = papers.filter(actors=actors)
        scores = {"score": chosen["score"].mean(), "median of all": every["score"].median()}
        row = cell | {"best": chosen.height, "of": every.height} | scores | {f"until {x}": end}
        rows.append(row | {"paper's then": height_at(papers, end)})
    ours, against = _panels(mean, theirs, by_algo=label != "algo")
    against = _unnamed(against) if label != "algo" else against
    drawing = figures.learning_curves(ours, x, label=label, panel="panel", against=against)
    return Shown(pl.DataFrame(rows), drawing, (_means_of(outcome.plan, outcome.experiment.best),))


def _means_of(plan: Plan, best: int) -> str:
    """Returns a sentence on the runs that the curves average."""
    if plan.draws == plan.seeds == 1:
        return "Each of our curves is one run."
    several = f"all {plan.draws} draws" if plan.draws > 1 else counted(plan.seeds, "seed")
    which = f"the best {best} of {plan.draws} draws" if 0 < best < plan.draws else several
    return f"Our curves are means of {which}; bands reach from the lowest of them to the highest."


def _papers(outcome: FinishedRuns, runs: pl.DataFrame, also: Sequence[str]) -> pl.DataFrame:
    """Returns the paper's curves of the same games and methods, where it has the figure's data.

    The numbers of actors are the same where the experiment compares them; otherwise the paper's curves are of 16.
    """
    number = outcome.experiment.number
    if number not in paper.FIGURES:
        return paper.curves("1").clear()
    actors = runs["actors"] if len(outcome.experiment.actors) > 1 else pl.Series([*outcome.experiment.actors])
    ours = pl.col("algo").is_in(runs["algo"].implode()) & pl.col("actors").is_in(actors.implode())
    keys = [_key(game) for game in runs["game"].unique()]
    return paper.curves(number).filter(pl.col("game").is_in(keys) & (ours | pl.col("algo").is_in(list(also))))


def _key(name: str) -> str:
    """Returns a game's name in the paper's frames."""
    return benchmark_game(name) or name


def _panels(ours: pl.DataFrame, theirs: pl.DataFrame, *, by_algo: bool) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Returns our rows with a column `panel`, and the paper's of these panels: one for a game, or a game and method."""
    if not by_algo or ours["algo"].n_unique() == 1:
        return ours.with_columns(panel="game"), theirs.filter(
            pl.col("algo").is_in(["dqn", "human", *ours["algo"].unique()])
        )
    titles = pl.col("game").replace({_key(game): game for game in ours["game"].unique()})
    named = [pl.concat_str(game, "algo", separator=", ") for game in (pl.col("game"), titles)]
    return ours.with_columns(panel=named[0]), theirs.with_columns(game=named[1])


def _unnamed(theirs: pl.DataFrame) -> pl.DataFrame:
    """Returns the paper's curves without the method's name, for panels with a single method."""
    return theirs.with_columns(algo=pl.lit(None, pl.String))


def over_learning_rates(outcome: FinishedRuns) -> Shown:
    """Draws figures 2 and S11: a point for each run, over its learning rate."""
    from a3crs.runlog import figures

    theirs = paper.learning_rates(outcome.experiment.number)
    runs = outcome.runs.drop_nulls("score")
    rows: list[dict[str, Any]] = []
    for (game, algo), of in runs.group_by("game", "algo", maintain_order=True):
        papers = theirs.filter(game=_key(str(game)), algo=algo)
        rows += [{"game": game, "algo": algo, "whose": "ours"} | _spread(of)]
        rows += [{"game": game, "algo": algo, "whose": "paper's"} | _spread(papers)] if papers.height else []
    ours, against = _panels(runs, theirs, by_algo=True)
    drawing = figures.learning_rates(ours, label="algo", panel="panel", against=against)
    return Shown(pl.DataFrame(rows), drawing, ("Every run is a point: nothing is averaged.",))


def _spread(runs: pl.DataFrame) -> dict[str, Any]:
    """Returns the number of runs, the best score and its learning rate, the median and the lowest score."""
    score, lr = runs.sort("score", descending=True).select("score", "lr")
    return {"runs": score.len(), "best": score[0], "its lr": lr[0], "median": score.median(), "lowest": score[-1]}


def ranks(outcome: FinishedRuns) -> Shown:
    """Draws figure S5: the scores of the draws, best first, by optimizer."""
    from a3crs.runlog import figures

    by = ["game", "algo", "optimizer"]
    draws = outcome.runs.drop_nulls("score").lazy().group_by(*by, "draw").agg(pl.mean("score"))
    ranked = metrics.ranked(draws, by=by).collect()
    every = paper.curves(outcome.experiment.number)
    rows: list[dict[str, Any]] = []
    for (game, algo, optimizer), of in ranked.group_by(by, maintain_order=True):
        cell = {"game": game, "algo": algo, "optimizer": optimizer}
        papers = every.filter(**cell | {"game": _key(str(game))})
        for whose, scores in (("ours", of["score"]), ("paper's", papers["score"])):
            spread = {"best": scores.max(), "mean": scores.mean(), "median": scores.median()}
            rows += [cell | {"whose": whose, "draws": scores.len()} | spread] if scores.len() else []
    most = max(ranked["rank"])
    ours, against = _panels(ranked, every.with_columns(x=pl.col("x") * most / pl.col("x").max()), by_algo=True)
    drawing = figures.optimizers(ours, label="optimizer", panel="panel", against=_unnamed(against))
    note = "" if most == every["x"].max() else f"The paper's 50 ranks are drawn over our {most}."
    return Shown(pl.DataFrame(rows), drawing, (note,))


def speed_ups(outcome: FinishedRuns) -> Shown:
    """Computes table 2: the speed-up over one actor until a score is reached, in time, in data, in frames a second."""
    from a3crs.runlog import figures

    if 1 not in outcome.runs["actors"]:
        raise ConfigError("A speed-up is over one actor, but no run has one: run the experiment with --actors 1,2,4.")
    by = ["game", "algo", "actors"]
    best = outcome.best(by)
    about = best.lazy().select("run", *by)
    progress = load.progress(outcome.paths(best)).join(about, on="run")
    reached = _to_reference(progress.filter(pl.col("episodes") >= 100), by)
    if reached.is_empty():
        raise ConfigError(f"No run in {outcome.directory} has played 100 episodes, and before a score means little.")
    in_time = metrics.speed_up(reached.lazy(), "hours", by="algo", games="game")
    in_data = metrics.speed_up(reached.lazy(), "frames", by="algo", games="game").drop("games")
    speed = metrics.cost(progress, by=["run", *by]).group_by("algo", "actors").agg(pl.mean("frames_per_sec"))
    counted = reached.lazy().group_by("algo", "actors").agg(reached=pl.col("hours").count(), of=pl.len())
    theirs = paper.table("2").lazy().rename({"speed_up": "paper's speed_up"})
    keys = ["algo", "actors"]
    table = in_time.join(in_data.rename({"speed_up": "in data"}), on=keys).join(counted, on=keys).join(speed, on=keys)
    ours = table.join(theirs, on=keys, how="left").sort(keys).collect()
    same = paper.table("2").join(ours, on=keys, how="semi")
    levels = reached.select("game", "algo", "first", "threshold").unique().sort("game", "algo").rows()
    scores = [f"{game} with {algo} {level:.1f} (from {first:.1f})" for game, algo, first, level in levels]
    note = f"Reference scores: {', '.join(scores)}."
    return Shown(ours, figures.scaling(ours, against=same), (note,))


def _to_reference(progress: pl.LazyFrame, by: Sequence[str]) -> pl.DataFrame:
    """Returns the time at which each run reached the reference score of its game and method; null where it never did.

    The reference score is half of the way from the first mean of 100 episodes to the highest that every number of
    actors has reached.
    """
    of, mean = ["game", "algo"], pl.col("return_mean_100")
    peaks = progress.group_by(*of, "actors").agg(peak=mean.max())
    first = progress.group_by("run", *of).agg(first=mean.first()).group_by(of).agg(pl.mean("first"))
    references = peaks.group_by(of).agg(pl.min("peak")).join(first, on=of)
    rows = progress.join(references, on=of)
    halfway = (pl.col("first") + pl.col("peak")) / 2
    return metrics.reached(rows, halfway, by=["run", *by, "first"]).collect()


def _evaluated(outcome: FinishedRuns) -> pl.DataFrame:
    """Returns the runs with the `mean` of their newest evaluation, and its `human_normalised` score."""
    evals = load.evals(outcome.paths(outcome.runs)).group_by("run").agg(pl.last("mean", "episodes"))
    found = outcome.runs.lazy().join(evals, on="run")
    rows = human_normalised(found, "mean").collect()
    if rows.is_empty():
        raise ConfigError(f"No run in {outcome.directory} has been evaluated: repeat the experiment's command.")
    return rows


def over_games(outcome: FinishedRuns) -> Shown:
    """Computes table 1: mean and median human-normalised scores over games."""
    known = _evaluated(outcome).drop_nulls("human_normalised")
    by_game = known.group_by("algo", "net", "game").agg(pl.mean("human_normalised"))
    ours = by_game.group_by(method=pl.concat_str("algo", "net", separator="-")).agg(
        games=pl.len(), mean=pl.mean("human_normalised"), median=pl.median("human_normalised")
    )
    theirs = paper.table("1").select(
        method=pl.format("paper: {}, {}", "method", "training"),
        games=pl.when(pl.col("method").is_in(["dqn", "gorila"])).then(49).otherwise(57).cast(pl.UInt32),
        mean="mean",
        median="median",
    )
    note = "Percent: 0 is a random player, 100 a human one; of Video Pinball the random score is taken as 0."
    return Shown(pl.concat([ours.sort("method"), theirs]), notes=(note,))


def by_game(outcome: FinishedRuns) -> Shown:
    """Computes table S3: the raw score of each game."""
    rows = _evaluated(outcome)
    method = pl.concat_str("algo", "net", separator="-")
    ours = rows.with_columns(method=method).pivot("method", index="game", values="mean", aggregate_function="mean")
    theirs = paper.table("S3").select(game="title", **{f"paper: {name}": name for name in _A3C})
    no_op = paper.no_op_scores().select(
        game=pl.col("game").replace(titles()), **{"no-op: NoisyNet's A3C": "a3c_noisynet_paper"}
    )
    table = ours.join(theirs, on="game", how="left").join(no_op, on="game", how="left").sort("game")
    note = "The column no-op is A3C from no-op starts as ours, 320M frames (Fortunato et al. 2018)."
    return Shown(table, notes=(note,))
