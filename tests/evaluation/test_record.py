"""Records say by which protocol they were measured."""

import json

from gan_jax.evaluation.record import Record, differences

PROTOCOL = {
    'extractor': 'inception (weights 6726825d, tf1)',
    'reals': '50000 of cifar10 train',
    'fakes': '50000 samples',
}


def test_a_record_shows_its_protocol_and_survives_json():
    record = Record('fid', 12.5, 0.25, 'runs/x at step 9', PROTOCOL, (12.0, 13.0), 50, 'f00d')
    assert str(record).startswith('fid of runs/x at step 9: 12.5 ± 0.25 [extractor=inception (weights 6726825d, tf1); ')
    values = json.loads(json.dumps(record.to_json()))
    assert Record.from_json(values) == record
    assert Record.from_json({name: values[name] for name in ('metric', 'value', 'error', 'subject', 'protocol')}) == (
        Record('fid', 12.5, 0.25, 'runs/x at step 9', PROTOCOL)
    )


def test_what_was_judged_may_differ_and_nothing_else():
    first, second = (Record('fid', value, None, subject, PROTOCOL) for value, subject in ((1.0, 'a'), (2.0, 'b')))
    assert differences(first, second) == []
    other = Record('fid', 2.0, None, 'b', {**PROTOCOL, 'fakes': '10000 samples', 'seed': 1})
    assert differences(first, other) == ['fakes (50000 samples -> 10000 samples)', 'seed ((absent) -> 1)']
    assert differences(first, Record('kid', 1.0, None, 'a', PROTOCOL)) == ['metric (fid -> kid)']
