// A greeting over HTTP, for `minicloud build`.
import { getEnvironment } from 'wasi:cli/environment@0.2.12';
import { Fields, OutgoingBody, OutgoingResponse, ResponseOutparam } from 'wasi:http/types@0.2.12';

const encoder = new TextEncoder();

export const incomingHandler = {
  handle(request, responseOut) {
    const hostname = new Map(getEnvironment()).get('HOSTNAME');
    const headers = Fields.fromList([['content-type', encoder.encode('text/plain; charset=utf-8')]]);
    const response = new OutgoingResponse(headers);
    const body = response.body();
    ResponseOutparam.set(responseOut, { tag: 'ok', val: response });
    const stream = body.write();
    stream.blockingWriteAndFlush(encoder.encode(`Hello from JavaScript on ${hostname}: ${request.pathWithQuery()}\n`));
    stream[Symbol.dispose]();
    OutgoingBody.finish(body, undefined);
  },
};
