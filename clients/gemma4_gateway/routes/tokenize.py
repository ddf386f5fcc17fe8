"""/tokenize and /detokenize, as vLLM has them."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from gemma4_client import AsyncClient, Gemma4Error, Tokens

from gemma4_gateway.body.route import JsonRoute
from gemma4_gateway.routes.wiring import ERRORS, TheGateway
from gemma4_gateway.schemas.tokenize import DetokenizeRequest, TokenizeRequest
from gemma4_gateway.translate.failures import failure, unsendable
from gemma4_gateway.translate.messages import engine_messages, engine_tools, is_continued

__all__ = ["router"]

router = APIRouter(tags=["tokens"], responses=ERRORS, route_class=JsonRoute)


@router.post("/tokenize")
async def tokenize(body: TokenizeRequest, gateway: TheGateway) -> dict[str, Any]:
    """Return the token ids of a text or of a rendered chat."""
    model = gateway.check_model(body.model or None)
    is_continued(body)
    try:
        found = await gateway.router.ask(model, lambda b: _tokenized(b.plain, body))
    except Gemma4Error as error:
        raise failure(error, {}) from None
    except ValueError as error:
        raise unsendable(error) from None
    strings = [data.decode("utf-8", "replace") for data in found.token_bytes]
    return {
        "count": len(found.ids),
        "max_model_len": found.server.max_total_tokens,
        "tokens": found.ids,
        "token_strs": strings if body.return_token_strs else None,
    }


async def _tokenized(client: AsyncClient, body: TokenizeRequest) -> Tokens:
    if body.messages is None:
        add_bos = body.add_special_tokens is not False
        return await client.tokenize(body.prompt or "", add_bos=add_bos)
    template = body.chat_template_kwargs
    return await client.tokenize(
        engine_messages(body.messages),
        chat=True,
        tools=engine_tools(body.tools),
        enable_thinking=bool(template and template.enable_thinking),
        continue_final_message=is_continued(body) or None,
    )


@router.post("/detokenize")
async def detokenize(body: DetokenizeRequest, gateway: TheGateway) -> dict[str, Any]:
    """Return the text of token ids; control tokens as their names."""
    model = gateway.check_model(body.model or None)
    try:
        found = await gateway.router.ask(model, lambda b: b.plain.detokenize(body.tokens))
    except Gemma4Error as error:
        raise failure(error, {}) from None
    return {"prompt": found.text}
