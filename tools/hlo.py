"""Reads an optimised XLA program from its text: what kind of work an instruction is, how much, and for which layer."""

import collections
import math
import re
from typing import NamedTuple

CONTROL = {'while', 'call', 'conditional', 'async-start', 'async-done'}  # their times are those of what they call
_MOVES = {'parameter', 'constant', 'tuple', 'get-tuple-element', 'iota', 'copy', 'bitcast', 'reshape', 'transpose'}
_MOVES |= {'broadcast', 'slice', 'dynamic-slice', 'dynamic-update-slice', 'reverse'}
_KINDS = {  # the first of which a fusion has an operation
    'matrix products': {'dot', 'convolution', '__onednn$matmul', '__onednn$convolution'},
    'random numbers': {'xor', 'shift-right-logical', 'rng-bit-generator'},
    'patches and folds': {'concatenate', 'pad'},
    'reductions': {'reduce', 'reduce-window'},
    'other': {'gather', 'scatter', 'sort', 'custom-call'},
}
_COLLECTIVES = 'all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute|collective-broadcast'
_COMPUTATION = re.compile(r'^(?:ENTRY )?%?([\w.\-]+) .*\{$')
_INSTRUCTION = re.compile(r'^\s+(?:ROOT )?%?([\w.\-]+) = (\(.*?\)|\S+) ([\w\-]+)\((.*?)\)(.*)$')


class Instruction(NamedTuple):
    """A line of an optimised program.

    Attributes:
        opcode: such as 'dot'; for a call of oneDNN its target.
        shape: shape of its result; () for a tuple, but of a call of oneDNN the first, as the second is its scratchpad.
        operands: names of instructions.
        attributes: the rest of the line.
    """

    opcode: str
    shape: tuple[int, ...]
    operands: list[str]
    attributes: str


class Program:
    """An optimised program, read from its text.

    Attributes:
        name: name of the module.
        instructions: by name.
    """

    def __init__(self, text: str):
        self.name = re.match(r'HloModule ([\w.\-]+)', text)[1]
        self.instructions: dict[str, Instruction] = {}
        self._computations, current = {}, []
        for line in text.splitlines():
            if found := _COMPUTATION.match(line):
                current = self._computations[found[1]] = []
            elif found := _INSTRUCTION.match(line):
                name, shape, opcode, operands, attributes = found.groups()
                target = re.search(r'custom_call_target="(__onednn[^"]*)"', attributes)
                opcode = target[1] if target else opcode
                shape = () if shape[0] == '(' and not target else _numbers(r'\[([\d,]*)\]', shape)
                self.instructions[name] = Instruction(opcode, shape, re.findall(r'%([\w.\-]+)', operands), attributes)
                current.append(self.instructions[name])
                if target:  # so it is called in a profile
                    self.instructions[name + target[1]] = self.instructions[name]

    def inside(self, name: str) -> list[Instruction]:
        """The instructions of a fusion; any other instruction itself."""
        called = re.search(r'calls=%?([\w.\-]+)', self.instructions[name].attributes)
        return self._computations[called[1]] if called else [self.instructions[name]]

    def kind(self, name: str) -> str:
        """The kind of an instruction."""
        if name not in self.instructions:
            return 'other'
        opcodes = {instruction.opcode for instruction in self.inside(name)}
        if opcodes <= _MOVES:
            return 'copies'
        return next((kind for kind, some in _KINDS.items() if opcodes & some), 'elementwise')

    def flops(self, name: str) -> int:
        """The floating-point operations of an instruction's matrix products and convolutions."""
        return sum(map(self._flops, self.inside(name))) if name in self.instructions else 0

    def _flops(self, instruction: Instruction) -> int:
        if instruction.opcode not in _KINDS['matrix products']:
            return 0
        left, right = (self.instructions[operand].shape for operand in instruction.operands[:2])
        if instruction.opcode == '__onednn$matmul':  # (m k) (k n) (m n), whichever is transposed
            return 2 * math.isqrt(math.prod(left) * math.prod(right) * math.prod(instruction.shape))
        if instruction.opcode == '__onednn$convolution':  # its kernel is HWIO
            return 2 * math.prod(instruction.shape) * math.prod(right[:-1])
        if instruction.opcode == 'dot':
            axes = _numbers(r'lhs_contracting_dims=\{([\d,]*)\}', instruction.attributes)
            summed = math.prod(left[axis] for axis in axes)
        else:
            labels = re.search(r'dim_labels=\w+_(\w+)->', instruction.attributes)[1]
            summed = math.prod(right) // right[labels.index('o')]
        return 2 * math.prod(instruction.shape) * summed

    def layer(self, name: str) -> str:
        """The layer that an instruction comes from, or else the operation that it was in JAX."""
        attributes = self.instructions[name].attributes if name in self.instructions else ''
        found = re.search(r'op_name="([^"]*)"', attributes)
        path = found[1] if found else ''
        parts = [re.sub(r'^(?:\w+\()*|\)*$', '', part) for part in path.split('/')]
        layers = [part for part in parts if part[:1].isupper()]
        return '/'.join(layers or parts[-1:]) + (', backward' if 'transpose(jvp' in path else '')


def collectives(text: str) -> dict[str, int]:
    """The bytes of the results of each kind of collective operation in an optimised program's text.

    An operation in a loop counts once, so a stretch of training has those of one step.
    """
    total = collections.Counter()
    for results, kind in re.findall(rf'= (\(.*?\)|\S+) ({_COLLECTIVES})(?:-start)?\(', text):
        for bits, sizes in re.findall(r'\b[a-z]+(\d+)\[([\d,]*)\]', results):
            total[kind] += int(bits) // 8 * math.prod(int(size) for size in sizes.split(',') if size)
    return dict(total)


def _numbers(pattern: str, text: str) -> tuple[int, ...]:
    found = re.search(pattern, text)
    return tuple(int(number) for number in found[1].split(',') if number) if found else ()
