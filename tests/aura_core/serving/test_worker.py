import asyncio
from collections.abc import Iterator

from aura_core.serving.worker import Worker


def test_the_first_piece_is_taken_before_the_second_is_made():
    worker = Worker(max_waiting=1)
    log: list[str] = []

    def make() -> Iterator[str]:
        yield "first"
        log.append("second is made")
        yield "second"

    async def read() -> None:
        async for piece in worker.start(make):
            # Whoever sends it needs the processor for a moment.
            await asyncio.sleep(0.002)
            log.append(f"{piece} is sent")

    asyncio.run(read())
    worker.close()
    assert log == ["first is sent", "second is made", "second is sent"]


def test_a_job_goes_on_where_nobody_takes_its_first_piece():
    worker = Worker(max_waiting=1)
    made: list[int] = []

    def make() -> Iterator[int]:
        for number in range(3):
            made.append(number)
            yield number

    async def ignore() -> None:
        job = worker.start(make)
        while not job.is_done:
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(ignore(), timeout=10))
    worker.close()
    assert made == [0, 1, 2]
