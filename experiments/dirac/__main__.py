"""Plays the Dirac-GAN by many training methods, and compares eigenvalues and convergence with theory; see README.md.

python -m experiments.dirac
"""

import argparse
import json
import pathlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments import results
from experiments.dirac.methods import METHODS, NOISE, RATE, Method, batch
from gan_jax.dynamics import spectrum
from gan_jax.errors import exit_code
from gan_jax.records import files, report

ROUNDS = 500
EXAMPLES = 512  # of a batch; only instance noise depends on it
MEASURED = 2**18  # examples of the eigenvalues with instance noise
NEAR = (1e-6, 1e-6)  # theta, psi of measured eigenvalues: at 0 itself an iterative solution has no derivative


def trajectory(method: Method, order: str, rounds: int = ROUNDS) -> np.ndarray:
    """The points (theta, psi) [rounds + 1, 2] of a training."""
    state, step = method.state(), method.step(order)
    size = EXAMPLES if method.options.get('noise') else 1

    def one(state, _):
        state, _ = step(state, batch(size))
        return state, (state.generator.params, state.discriminator.params)

    _, points = jax.jit(lambda state: jax.lax.scan(one, state, None, rounds))(state)
    first = np.array([[state.generator.params, state.discriminator.params]])
    return np.concatenate([first, np.stack(points, axis=1)])


def measured_eigenvalues(method: Method) -> np.ndarray:
    """Those of the vector field -F at the equilibrium."""
    field = method.field(MEASURED if method.options.get('noise') else 1)
    params = {name: player.params for name, player in method.state(NEAR).players.items()}
    return -spectrum.eigenvalues(spectrum.jacobian(field, params))


def measured_radius(method: Method, order: str) -> float:
    """The largest magnitude of an eigenvalue of a round at the equilibrium."""
    size = MEASURED if method.options.get('noise') else 1
    state, _ = jax.jit(method.step(order))(method.state(NEAR), batch(size))  # optimism begins with the second round
    return float(np.abs(spectrum.eigenvalues(spectrum.round_jacobian(method.step(order), state, batch(size)))[0]))


def row(method: Method, points: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """What is measured of a method, beside theory."""
    found: dict[str, Any] = {'published': method.published}
    if method.linear is not None:
        found['theory'] = _pairs(method.field_eigenvalues())
        found['measured'] = _pairs(measured_eigenvalues(method))
    for order in method.orders():
        distance = np.linalg.norm(points[order], axis=1)
        found[order] = {'distance': float(distance[-1]), 'least of the last 100': float(distance[-100:].min())}
        if method.linear is not None:
            found[order] |= {'theory': method.round_radius(order), 'measured': measured_radius(method, order)}
    return found


def _pairs(values: np.ndarray) -> list[list[float]]:
    values = sorted(np.asarray(values, complex), key=lambda value: (value.real, value.imag))
    return [[float(value.real), float(value.imag)] for value in values]


def _text(values: Sequence[Sequence[float]]) -> str:
    (low_real, _), (real, imag) = values
    if abs(imag) > 5e-3:
        return f'{_rounded(real)} ± {_rounded(abs(imag))}i'
    return f'{_rounded(low_real)}, {_rounded(real)}'


def _rounded(value: float) -> str:
    return f'{value:.4f}'.replace('-0.0000', '0.0000')


def table(rows: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """A header and a row for each method."""
    answers = {True: 'yes', False: 'no', None: 'not in it'}
    header = [
        'method', 'eigenvalues of -F: theory', 'measured', 'factor of a round at once: theory', 'measured',
        'in turn: theory', 'measured', f'distance after {ROUNDS}: at once', 'in turn', 'paper: converges',
    ]  # fmt: skip
    lines = [header]
    for name, one in rows.items():
        cells = [_text(one[key]) if key in one else 'none' for key in ('theory', 'measured')]
        for order in ('simultaneous', 'alternating'):
            cells += [f'{one[order][key]:.5f}' if key in one.get(order, {}) else '' for key in ('theory', 'measured')]
        cells += [f'{one[order]["distance"]:.2g}' if order in one else '' for order in ('simultaneous', 'alternating')]
        lines.append([name, *cells, answers[one['published']]])
    return lines


def draw(path: pathlib.Path, points: Mapping[str, Mapping[str, np.ndarray]]) -> None:
    """The vector field of each method with its trajectories, as the paper's figure."""
    figure = report.new_figure(15, 9.6)
    figure.set_layout_engine('constrained')
    panels = figure.subplots(3, 5).ravel()
    places = jnp.linspace(-2.0, 2.0, 17)
    thetas, psis = (np.asarray(grid) for grid in jnp.meshgrid(places, places))
    for axes, (name, method) in zip(panels, METHODS.items(), strict=False):
        field = method.field(EXAMPLES if method.options.get('noise') else 1)

        def at(theta, psi, field=field):
            params = {'generator': theta, 'discriminator': psi}
            return field(params, params)

        found = jax.jit(jax.vmap(at))(thetas.ravel(), psis.ravel())
        arrows = [-np.asarray(found[name]).reshape(thetas.shape) for name in ('generator', 'discriminator')]
        axes.quiver(thetas, psis, *arrows, np.hypot(*arrows), cmap='Greys', clim=(-0.6, 1.6), scale=25, width=0.004)
        for order, color in (('simultaneous', 'C1'), ('alternating', 'C0')):
            if order in points[name]:
                label = 'at once' if order == 'simultaneous' else 'in turn'
                axes.plot(*points[name][order].T, color=color, linewidth=0.9, label=label)
        axes.plot(*points[name]['simultaneous'][0], 'o', color='black', markersize=4)
        axes.plot(0, 0, '+', color='C3', markersize=11, markeredgewidth=2)
        axes.set_title(name, loc='left', fontsize=11)
        axes.set(xlim=(-2.1, 2.1), ylim=(-2.1, 2.1), xlabel='theta', ylabel='psi', aspect='equal')
    panels[0].legend(frameon=True, fontsize=8, loc='upper right')
    for axes in panels[len(METHODS) :]:
        axes.remove()
    results.save_figure(path, figure)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line; returns its exit code."""
    parser = argparse.ArgumentParser(prog='python -m experiments.dirac', description=__doc__)
    default = pathlib.Path(__file__).parent / 'results'
    parser.add_argument('--out', type=files.user_path, default=default, help='directory of the results')
    out = parser.parse_args(argv).out
    return exit_code(lambda: run(out))


def run(out: pathlib.Path) -> None:
    """Measures everything and writes the results."""
    with jax.enable_x64(True):
        points = {name: {order: trajectory(method, order) for order in method.orders()}
                  for name, method in METHODS.items()}  # fmt: skip
        rows = {name: row(method, points[name]) for name, method in METHODS.items()}
    facts = {'title': 'Dirac-GAN', 'rate': RATE, 'rounds': ROUNDS, 'noise': NOISE, 'methods': rows}
    files.replace(out / 'results.json', (json.dumps(facts, indent=1) + '\n').encode())
    files.replace(out / 'table.md', f'# Dirac-GAN\n\n{results.markdown(table(rows))}'.encode())
    draw(out / 'fields.png', points)
    print(f'Done. The table is in {out}/table.md, the picture {out}/fields.png.')


if __name__ == '__main__':
    sys.exit(main())
