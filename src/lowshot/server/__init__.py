"""HTTP and a web page over a recogniser: :func:`lowshot.server.running.serve` runs it, ``lowshot serve`` calls that.

A request passes these modules in turn: ``connections`` (time for a request to arrive), ``security`` (who may ask),
``bodies`` (size and time of a body), ``app`` (the routes), ``uploads`` (photos in a body), ``batching`` or ``workers``
(photos to features), ``service`` (the state of the recogniser, and changes of it).
"""
