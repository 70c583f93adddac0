"""Reads one PDF from standard input and writes its raw text as JSON: a program of its own.

Started by `tools.pdf_text` under `python -I`, because a hostile PDF can make a parser loop for ever or fill the
memory: here it can only use up this process. Whatever goes wrong ends as `{"problem": ...}` or as a dead process;
mending and checking the text is the parent's work.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import resource
import sys
from typing import Any

MAX_TITLE = 2000


def _limit(kind: int, soft: int) -> None:
    hard = resource.getrlimit(kind)[1]
    bound = soft if hard == resource.RLIM_INFINITY else min(soft, hard)
    # Some systems (macOS) refuse RLIMIT_AS; the parent's clock still ends the process there.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(kind, (bound, bound))


def _read(data: bytes, max_pages: int, max_chars: int) -> dict[str, Any]:
    from pypdf import PdfReader
    from pypdf.errors import DependencyError, PyPdfError

    try:
        reader = PdfReader(io.BytesIO(data), strict=False)
        if reader.is_encrypted and not reader.decrypt(""):
            return {"problem": "an encrypted PDF"}
        count = len(reader.pages)
        if count > max_pages:
            return {"problem": f"{count} pages"}
        title = reader.metadata.title if reader.metadata else None
        texts: list[str] = []
        room = max_chars
        for page in reader.pages:
            text = page.extract_text()
            room -= len(text)
            if room < 0:
                return {"problem": f"more than {max_chars} characters of text"}
            texts.append(text)
    except DependencyError:
        return {"problem": "an encrypted PDF"}
    except PyPdfError as error:
        return {"problem": f"a malformed PDF ({type(error).__name__}: {error})"}
    except RecursionError:
        return {"problem": "a malformed PDF (endless nesting)"}
    except MemoryError:
        return {"problem": "a PDF that unpacks to more than the memory allowed"}
    return {"title": title[:MAX_TITLE] if isinstance(title, str) else "", "pages": texts}


def main(arguments: list[str]) -> int:
    max_pages, max_chars, memory_bytes, cpu_s = (int(word) for word in arguments)
    _limit(resource.RLIMIT_AS, memory_bytes)
    _limit(resource.RLIMIT_CPU, cpu_s)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    # The parser warns once for each fault it meets; a file made of faults would flood the parent.
    logging.disable(logging.CRITICAL)
    answer = _read(sys.stdin.buffer.read(), max_pages, max_chars)
    # ASCII escapes carry even lone surrogates, which some fonts' tables produce.
    sys.stdout.write(json.dumps(answer))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
